"""Bring a team to the state described: check, write what is wanted, wake the reconciler."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from uuid6 import uuid7

from orchestrator.clients.config_service import ConfigService
from orchestrator.domain.conditions import Condition, ConditionType, Reason, merged
from orchestrator.domain.manifests import Platform
from orchestrator.domain.objects import Manifest, Ref
from orchestrator.domain.plan import Plan
from orchestrator.domain.team import TeamKey, TeamNames, TeamSpec
from orchestrator.domain.views import provisioned_view
from orchestrator.domain.wanted import wanted_objects
from orchestrator.errors import ChannelTaken, Conflict, DependencyAway, TeamIsLeaving
from orchestrator.store import claims, notices, teams
from orchestrator.store.runs import RunKind, RunRecord, RunStatus
from orchestrator.store.signals import Signals
from orchestrator.store.teams import TeamRecord, TeamState
from orchestrator.usecases.caller import Caller
from orchestrator.usecases.change import changed_spec
from orchestrator.usecases.preflight import Preflight
from orchestrator.usecases.recording import earlier_run, record_run
from servicekit.database import Database
from servicekit.problems import NotFound

#: Somebody else changed the same team between our look and our write: look again, this often.
ATTEMPTS = 8


class TooBusy(Conflict):
    """Team {team} is being changed by too many callers at once; try again."""

    code = "too_busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionRequest:
    """What a caller asks."""

    key: TeamKey
    #: Only the fields that the caller named; `None` clears one.
    fields: Mapping[str, Any]
    #: Fields that are not named are put back to their defaults, as PUT does.
    replace_all: bool = False
    #: Make no team, and bring none back.
    must_exist: bool = False
    idempotency_key: str | None = None

    def fingerprint(self) -> str:
        """The same for the same request, so that a key used twice for different ones shows."""
        body = [self.key.org_id, self.key.team_node_id, self.replace_all, dict(self.fields)]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The state that a request was checked against."""

    team: TeamRecord | None
    names: TeamNames
    spec: TeamSpec
    #: The team's node in the Config Service is there already, or nobody could say.
    config_exists: bool = True
    planned: Plan | None = None
    recorded: frozenset[Ref] = field(default_factory=frozenset)


class Provisioning:
    """Provisions teams."""

    def __init__(
        self,
        *,
        database: Database,
        config: ConfigService,
        preflight: Preflight,
        platform: Platform,
        signals: Signals,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._config = config
        self._preflight = preflight
        self._platform = platform
        self._signals = signals
        self._clock = clock

    async def plan(self, request: ProvisionRequest, caller: Caller) -> tuple[Plan, TeamRecord | None]:
        """What provisioning would do; nothing is stored or changed.

        Raises:
            Invalid, ChannelTaken, ResourceOwnedByAnother, ClusterRefused, ClusterForbade: it would be refused.
            DependencyAway: the cluster cannot say.
        """
        caller.require_team(request.key)
        seen = await self._look(request)
        if seen.planned is None:
            raise DependencyAway("cluster", "a plan needs its answer")
        return seen.planned, seen.team

    def manifests_of(self, team: TeamRecord | None) -> dict[Ref, Manifest]:
        """What is wanted of a team so far, for comparison."""
        if team is None or team.state is not TeamState.ACTIVE:
            return {}
        manifests = wanted_objects(team.key, team.spec, team.names, self._platform)
        return {Ref.of(manifest): manifest for manifest in manifests}

    async def provision(self, request: ProvisionRequest, caller: Caller) -> RunRecord:
        """Keep what is wanted and have it brought about; the run tells how that goes.

        Raises:
            Invalid, ChannelTaken, ResourceOwnedByAnother, ClusterRefused, ClusterForbade: nothing was kept.
            IdempotencyKeyReused: the key was used for another request.
            NotFound, TeamIsLeaving: the team must exist, and does not.
        """
        caller.require_team(request.key)
        for _ in range(ATTEMPTS):
            if (earlier := await self._earlier_run(request, caller)) is not None:
                return earlier
            seen = await self._look(request)
            try:
                run = await self._keep(request, caller, seen)
            except IntegrityError:
                # Another caller claimed a name, a channel, a key or the team itself since we looked.
                continue
            if run is not None:
                self._signals.team_changed(request.key)
                return run
        raise TooBusy(team=request.key)

    async def _earlier_run(self, request: ProvisionRequest, caller: Caller) -> RunRecord | None:
        return await earlier_run(
            self._database,
            caller=caller,
            key=request.idempotency_key,
            fingerprint=request.fingerprint(),
            now=self._clock(),
        )

    async def _look(self, request: ProvisionRequest) -> _Seen:
        key = request.key
        async with self._database.reading() as connection:
            team = await teams.get(connection, key)
            if request.must_exist:
                _require_active(key, team)
            names = team.names if team is not None else await claims.free_names(connection, key)
            base = self._base_spec(team)
            if request.replace_all:
                # What a body cannot say is not put back by one.
                base = TeamSpec(suspended=base.suspended)
            spec = changed_spec(base, request.fields)
            owners = await claims.channel_owners(connection, spec.slack_channel_ids)
        self._refuse_taken(key, owners)
        seen = _Seen(
            team=team, names=names, spec=spec, recorded=team.inventory if team is not None else frozenset()
        )
        seen = await self._ask_config_service(key, seen)
        return await self._ask_cluster(key, seen)

    def _base_spec(self, team: TeamRecord | None) -> TeamSpec:
        """What fields that are left out stay at: a team that left starts anew unless it was kept for its return."""
        if team is None:
            return TeamSpec()
        restorable = team.restore_until is not None and team.restore_until > self._clock()
        return team.spec if team.state is TeamState.ACTIVE or restorable else TeamSpec()

    @staticmethod
    def _refuse_taken(key: TeamKey, owners: Mapping[str, TeamKey]) -> None:
        for channel, owner in sorted(owners.items()):
            if owner != key:
                raise ChannelTaken.by(channel, owner)

    async def _ask_config_service(self, key: TeamKey, seen: _Seen) -> _Seen:
        """Channels that were mapped there by hand count, too; a Config Service that is away is asked by the run."""
        is_new = seen.team is None or seen.team.state is TeamState.GONE
        channels = seen.spec.slack_channel_ids
        if not is_new and not channels:
            return seen
        try:
            found = await self._config.look_up(key, channels)
        except DependencyAway:
            return seen
        self._refuse_taken(key, found.channel_owners)
        return replace(seen, config_exists=found.team_exists) if is_new else seen

    async def _ask_cluster(self, key: TeamKey, seen: _Seen) -> _Seen:
        """A cluster that is away loses no request: the run asks it when it is back."""
        try:
            planned = await self._preflight.plan(key, seen.spec, seen.names, recorded=seen.recorded)
            await self._preflight.check(seen.spec, planned)
        except DependencyAway:
            return seen
        return replace(seen, planned=planned)

    async def _keep(self, request: ProvisionRequest, caller: Caller, seen: _Seen) -> RunRecord | None:
        """One transaction: claims, wanted state, run. `None`: somebody changed the team since we looked."""
        now = self._clock()
        key, before = request.key, seen.team
        generation = before.generation + 1 if before is not None else 1
        run = RunRecord(
            id=str(uuid7()),
            key=key,
            kind=RunKind.PROVISION,
            status=RunStatus.RUNNING,
            generation=generation,
            requested_by=caller.name,
            request=dict(request.fields),
            created_at=now,
            result=provisioned_view(key, seen.spec, seen.names, self._platform),
        )
        team = self._wanted(before, seen, run, now)
        async with self._database.unit_of_work() as connection:
            if before is None:
                await claims.claim_names(connection, key, seen.names)
                await teams.insert(connection, team)
            elif not await teams.change_wanted(connection, team, seen_generation=before.generation):
                return None
            await claims.claim_channels(connection, key, seen.spec.slack_channel_ids)
            superseded = await record_run(
                connection,
                run,
                caller=caller,
                key=request.idempotency_key,
                fingerprint=request.fingerprint(),
            )
            await notices.team_changed(connection, self._signals, key)
        for run_id in superseded:
            self._signals.run_moved(run_id)
        return run

    def _wanted(self, before: TeamRecord | None, seen: _Seen, run: RunRecord, now: float) -> TeamRecord:
        wanted = wanted_objects(run.key, seen.spec, seen.names, self._platform)
        in_progress = Condition(
            type=ConditionType.PROVISIONED,
            status="False",
            reason=Reason.IN_PROGRESS,
            message="",
            observed_generation=run.generation,
            last_transition_time=datetime.fromtimestamp(now, UTC),
        )
        returning = before is None or before.state is not TeamState.ACTIVE
        team = before or TeamRecord(
            key=run.key,
            state=TeamState.ACTIVE,
            spec=seen.spec,
            generation=run.generation,
            names=seen.names,
            created_at=now,
            updated_at=now,
            conditions=merged((), (in_progress,)),
        )
        return replace(
            team,
            state=TeamState.ACTIVE,
            spec=seen.spec,
            generation=run.generation,
            leaving=None,
            inventory=team.inventory | {Ref.of(manifest) for manifest in wanted},
            created_config=not seen.config_exists if returning else team.created_config,
            good_spec=None if returning else team.good_spec,
            run_id=run.id,
            due_at=now,
            failures=0,
            restore_until=None,
            updated_at=now,
        )


def _require_active(key: TeamKey, team: TeamRecord | None) -> None:
    if team is None or team.state is TeamState.GONE:
        raise NotFound(what=f"Team {key}")
    if team.state is not TeamState.ACTIVE:
        raise TeamIsLeaving(team=key)
