"""Objects by their labels, wherever we may look."""

from collections.abc import Mapping

from orchestrator.cluster.client import Cluster
from orchestrator.cluster.errors import ClusterError, Refused, refusal
from orchestrator.cluster.kinds import KINDS
from orchestrator.domain.objects import Manifest, Ref


async def labelled(
    cluster: Cluster, kind: str, labels: Mapping[str, str], *, namespace: str
) -> list[Manifest]:
    """Objects of a kind in every namespace, or where we may not look there, in the installation's.

    Raises:
        ClusterForbade: we may not look anywhere.
        ClusterAway: nobody could say.
    """
    try:
        try:
            return await cluster.list(kind, labels=labels)
        except Refused:
            # Who may not list namespaces has made none.
            return (
                await cluster.list(kind, namespace=namespace, labels=labels) if KINDS[kind].namespaced else []
            )
    except ClusterError as error:
        raise refusal(Ref(kind, namespace, "*"), error) from error


def place_of(obj: Manifest) -> str:
    """The namespace that an object is in, or is.

    A cluster may hold several installations, whose teams may be called the same: labels alone do not tell whose an
    object is.
    """
    metadata = obj["metadata"]
    return str(metadata["name"] if obj["kind"] == "Namespace" else metadata["namespace"])
