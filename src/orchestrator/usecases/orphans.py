"""What stands in the cluster and is in no record: found by labels, adopted or removed only when somebody says so."""

from collections import defaultdict
from dataclasses import dataclass

from orchestrator.clients.config_service import ConfigService
from orchestrator.cluster.client import Cluster
from orchestrator.cluster.index import team_of
from orchestrator.cluster.informers import WATCHED_KINDS
from orchestrator.cluster.labelled import labelled, place_of
from orchestrator.domain.adoption import fields_of
from orchestrator.domain.manifests import Platform
from orchestrator.domain.objects import FIELD_MANAGER, MANAGED_BY_LABEL, Manifest, Ref
from orchestrator.domain.team import TeamKey
from orchestrator.store import claims, teams
from orchestrator.store.runs import RunRecord
from orchestrator.store.teams import TeamRecord, TeamState
from orchestrator.usecases.caller import Caller
from orchestrator.usecases.deprovision import Deprovisioning, DeprovisionRequest
from orchestrator.usecases.provision import Provisioning, ProvisionRequest
from servicekit.database import Database


@dataclass(frozen=True, slots=True)
class Orphan:
    """A team that nobody here knows, or knows as gone, and what stands of it."""

    key: TeamKey
    objects: tuple[Manifest, ...]

    @property
    def refs(self) -> tuple[Ref, ...]:
        """Its objects."""
        return tuple(sorted(map(Ref.of, self.objects)))


class Orphans:
    """Finds them, and does with them what somebody says."""

    def __init__(
        self,
        *,
        database: Database,
        cluster: Cluster,
        config: ConfigService,
        platform: Platform,
        provisioning: Provisioning,
        deprovisioning: Deprovisioning,
    ) -> None:
        self._database = database
        self._cluster = cluster
        self._config = config
        self._platform = platform
        self._provisioning = provisioning
        self._deprovisioning = deprovisioning

    async def find(self) -> list[Orphan]:
        """Every orphan, in the order of their ids; of teams that left, only what they were to take along.

        Only what lies where this installation would have put it: the cluster may hold another one's teams.

        Raises:
            ClusterForbade: we may not look.
            DependencyAway: the cluster cannot say.
        """
        labels = {MANAGED_BY_LABEL: FIELD_MANAGER}
        found: dict[TeamKey, list[Manifest]] = defaultdict(list)
        for kind in WATCHED_KINDS:
            for obj in await labelled(self._cluster, kind, labels, namespace=self._platform.namespace):
                if (key := team_of(obj)) is not None:
                    found[key].append(obj)
        orphans = []
        for key, objects in sorted(found.items()):
            async with self._database.reading() as connection:
                team = await teams.get(connection, key)
                names = team.names if team is not None else await claims.free_names(connection, key)
            places = {self._platform.namespace, names.namespace}
            left = [obj for obj in objects if place_of(obj) in places and not _is_known(team, Ref.of(obj))]
            if left:
                orphans.append(Orphan(key, tuple(left)))
        return orphans

    async def adopt(self, orphan: Orphan, caller: Caller) -> RunRecord:
        """Make it a team again, as far as its objects and the Config Service tell what it was.

        Raises:
            Problem: it cannot be; its sentence says why.
        """
        fields = fields_of(orphan.objects, self._platform)
        config = await self._config.get_team(orphan.key)
        routing = (config.config.get("routing") if config is not None else None) or {}
        fields["slack_channel_ids"] = list(routing.get("slack_channel_ids") or ())
        return await self._provisioning.provision(ProvisionRequest(key=orphan.key, fields=fields), caller)

    async def remove(self, orphan: Orphan, caller: Caller) -> RunRecord:
        """Take it away, its config kept.

        Raises:
            Problem: it cannot be; its sentence says why.
        """
        return await self._deprovisioning.deprovision(DeprovisionRequest(key=orphan.key), caller)


def _is_known(team: TeamRecord | None, ref: Ref) -> bool:
    return team is not None and (team.state is not TeamState.GONE or ref in team.inventory)
