"""What there is, for people and programs that ask."""

from dataclasses import dataclass

from orchestrator.cluster.client import Cluster
from orchestrator.domain.manifests import Platform
from orchestrator.domain.objects import Manifest, Ref
from orchestrator.domain.team import TeamKey
from orchestrator.domain.wanted import wanted_objects
from orchestrator.store import runs, teams
from orchestrator.store.runs import RunRecord, RunStatus
from orchestrator.store.teams import TeamRecord, TeamState
from orchestrator.usecases.caller import Caller
from servicekit.database import Database
from servicekit.problems import NotFound


@dataclass(frozen=True, slots=True)
class TeamWithRun:
    """A team and the last run for it."""

    team: TeamRecord
    last_run: RunRecord | None


class Reading:
    """Answers questions; changes nothing."""

    def __init__(self, database: Database, cluster: Cluster, platform: Platform) -> None:
        self._database = database
        self._cluster = cluster
        self._platform = platform

    async def team(self, key: TeamKey, caller: Caller) -> TeamWithRun:
        """The team and its last run.

        Raises:
            NotFound: there is no such team, or it is gone.
        """
        caller.require_team(key)
        async with self._database.reading() as connection:
            team = await teams.get(connection, key)
            if team is None or team.state is TeamState.GONE:
                raise NotFound(what=f"Team {key}")
            run = await runs.get(connection, team.run_id) if team.run_id is not None else None
        return TeamWithRun(team, run)

    async def teams(
        self,
        caller: Caller,
        *,
        org_id: str | None,
        mode: str | None,
        ready: bool | None,
        after: TeamKey | None,
        limit: int,
    ) -> list[TeamRecord]:
        """Teams in the order of their ids, only those that the caller may see."""
        if org_id is not None:
            caller.require_org(org_id)
        async with self._database.reading() as connection:
            return await teams.page(
                connection,
                org_id=org_id if caller.org_id is None else caller.org_id,
                mode=mode,
                ready=ready,
                after=after,
                limit=limit,
            )

    async def runs(
        self,
        caller: Caller,
        *,
        org_id: str | None,
        team_node_id: str | None,
        status: RunStatus | None,
        before: str | None,
        limit: int,
    ) -> list[RunRecord]:
        """Runs, the newest first, only those that the caller may see."""
        if org_id is not None:
            caller.require_org(org_id)
        async with self._database.reading() as connection:
            return await runs.page(
                connection,
                org_id=org_id if caller.org_id is None else caller.org_id,
                team_node_id=team_node_id,
                status=status,
                before=before,
                limit=limit,
            )

    async def manifests(self, key: TeamKey, caller: Caller) -> list[Manifest]:
        """What is wanted of the team in the cluster; a Secret's value is not in it."""
        team = (await self.team(key, caller)).team
        return wanted_objects(key, team.spec, team.names, self._platform)

    async def live(self, key: TeamKey, caller: Caller, kind: str) -> tuple[TeamRecord, Manifest | None]:
        """The team and its object of a kind as the cluster has it now, `None` when it has none.

        Raises:
            NotFound: nothing of that kind is wanted of the team.
            DependencyAway: the cluster cannot say.
        """
        team = (await self.team(key, caller)).team
        wanted = wanted_objects(key, team.spec, team.names, self._platform)
        ref = next((Ref.of(manifest) for manifest in wanted if manifest["kind"] == kind), None)
        if ref is None:
            raise NotFound(what=f"A {kind} of team {key}")
        return team, await self._cluster.get(ref)
