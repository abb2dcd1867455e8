"""Whether a Deployment does what its latest spec asks, and how its replicas pass to an autoscaler."""

from collections.abc import Mapping
from typing import Any

from orchestrator.domain.objects import FIELD_MANAGER, Manifest


def is_available(deployment: Mapping[str, Any]) -> bool:
    """Whether the Deployment is available, and its controller has seen its latest spec.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#complete-deployment
    """
    status = deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 1):
        return False
    conditions = {item["type"]: item["status"] for item in status.get("conditions") or ()}
    return conditions.get("Available") == "True" and status.get("updatedReplicas", 0) > 0


def replicas_to_hand_over(wanted: Manifest, live: Manifest) -> Manifest | None:
    """What another manager has to apply before `wanted` no longer says how many replicas there are.

    A field that its last owner drops goes back to its default: five replicas would become one before the autoscaler
    has looked. None at all, as of a team that was suspended, would stay none: an autoscaler leaves those alone.
    `None` when there is nothing to hand over.
    Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
    """
    if wanted["kind"] != "Deployment" or "replicas" in wanted["spec"]:
        return None
    is_ours = any(
        entry["manager"] == FIELD_MANAGER and "f:replicas" in entry["fieldsV1"].get("f:spec", {})
        for entry in live["metadata"].get("managedFields") or ()
    )
    if not is_ours:
        return None
    metadata = {name: wanted["metadata"][name] for name in ("name", "namespace")}
    return {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": metadata,
        "spec": {"replicas": max(1, live["spec"]["replicas"])},
    }
