"""Everything is checked before anything is kept: whose the names are, and what the cluster would refuse."""

import json
from collections.abc import Callable

from orchestrator.cluster.client import Cluster
from orchestrator.cluster.errors import ClusterError, Missing, owned_by_another, refusal
from orchestrator.cluster.informers import Informers
from orchestrator.concurrency import together
from orchestrator.domain.manifests import Platform
from orchestrator.domain.objects import Manifest, Ref
from orchestrator.domain.plan import Action, NotOurs, Plan, PlannedObject, plan
from orchestrator.domain.team import TeamKey, TeamNames, TeamSpec
from orchestrator.domain.wanted import wanted_objects
from orchestrator.store.codec import dump_spec

#: How long a shape that this cluster accepted need not be asked again, in seconds.
SHAPE_LIFETIME_S = 600.0
#: What our own rules check fully, so that it cannot be what the cluster refuses.
_CHECKED_HERE = ("slack_channel_ids", "protected", "restore_within")


class Preflight:
    """Asks the cluster without changing it.

    Args:
        cluster: the door.
        informers: what is known of the cluster without asking it.
        platform: the installation's settings that manifests depend on.
        monotonic: a clock in seconds.
    """

    def __init__(
        self, cluster: Cluster, informers: Informers, platform: Platform, *, monotonic: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._informers = informers
        self._platform = platform
        self._monotonic = monotonic
        self._accepted: dict[str, float] = {}

    async def plan(
        self,
        key: TeamKey,
        spec: TeamSpec,
        names: TeamNames,
        *,
        recorded: frozenset[Ref] = frozenset(),
        live_tokens: frozenset[str] | None = None,
    ) -> Plan:
        """What provisioning would do now.

        Raises:
            ResourceOwnedByAnother: a name is taken by an object that is not this team's.
            ClusterAway: nobody could say.
        """
        wanted = wanted_objects(key, spec, names, self._platform)
        refs = {Ref.of(manifest) for manifest in wanted} | recorded
        # That nobody has such names may be known. What there is, is asked for, because it is compared field by field.
        live = {} if self._informers.all_absent(refs) else await self._cluster.get_many(refs)
        try:
            return plan(key, wanted=wanted, live=live, live_tokens=live_tokens)
        except NotOurs as error:
            raise owned_by_another(error.ref) from error

    async def check(self, spec: TeamSpec, planned: Plan) -> None:
        """Have the cluster say whether it would take every object of the plan.

        Raises:
            ClusterRefused: it would not; its own words.
            ClusterForbade: quota, admission or missing rights.
            ClusterAway: nobody could say.
        """
        only_new = all(item.action is Action.CREATE for item in planned.objects)
        shape = _shape(spec)
        if only_new and self._accepted.get(shape, 0.0) > self._monotonic():
            return
        new_namespaces = {
            item.ref.name
            for item in planned.applies
            if item.ref.kind == "Namespace" and item.action is Action.CREATE
        }
        errors = await together(self._refusal(item, new_namespaces) for item in planned.applies)
        for item, error in zip(planned.applies, errors, strict=True):
            if error is not None:
                raise refusal(item.ref, error) from error
        if only_new:
            self._accepted[shape] = self._monotonic() + SHAPE_LIFETIME_S

    async def _refusal(self, item: PlannedObject, new_namespaces: set[str]) -> ClusterError | None:
        """What the cluster has against an object.

        An object for a namespace that is yet to be made is tried in the installation's own: a dry run makes nothing,
        so there the cluster would only say that the namespace is missing.
        """
        manifest = item.manifest or {}
        if item.ref.namespace in new_namespaces:
            manifest = _moved(manifest, self._platform.namespace)
        try:
            # Whose the object is was looked up before, and nothing is kept: force only silences field conflicts.
            await self._cluster.apply(manifest, force=True, dry_run=True)
        except Missing as missing:
            # The installation's namespace is made by the first apply, if we may; asking for that changes nothing.
            try:
                await self._cluster.ensure_namespace(self._platform.namespace, dry_run=True)
            except ClusterError:
                return missing
        except ClusterError as error:
            return error
        return None


def _moved(manifest: Manifest, namespace: str) -> Manifest:
    return manifest | {"metadata": manifest["metadata"] | {"namespace": namespace}}


def _shape(spec: TeamSpec) -> str:
    shape = {name: value for name, value in dump_spec(spec).items() if name not in _CHECKED_HERE}
    shape["pipeline_schedule"] = spec.pipeline_schedule is not None
    return json.dumps(shape, sort_keys=True)
