"""Take a team away: write that it is to go, wake the reconciler."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy.exc import IntegrityError
from uuid6 import uuid7

from orchestrator.clients.config_service import ConfigService
from orchestrator.cluster.client import Cluster
from orchestrator.cluster.informers import WATCHED_KINDS
from orchestrator.cluster.labelled import labelled, place_of
from orchestrator.concurrency import together
from orchestrator.domain.durations import parse as parse_duration
from orchestrator.domain.manifests import Platform
from orchestrator.domain.objects import (
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    ORG_LABEL,
    TEAM_LABEL,
    Ref,
    belongs_to,
)
from orchestrator.domain.team import TeamKey, TeamNames, TeamSpec
from orchestrator.domain.wanted import possible_refs
from orchestrator.errors import TeamProtected
from orchestrator.store import claims, notices, teams
from orchestrator.store.runs import RunKind, RunRecord, RunStatus
from orchestrator.store.signals import Signals
from orchestrator.store.teams import Leaving, TeamRecord, TeamState
from orchestrator.usecases.caller import Caller
from orchestrator.usecases.provision import ATTEMPTS, TooBusy
from orchestrator.usecases.recording import earlier_run, record_run
from servicekit.database import Database
from servicekit.problems import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class DeprovisionRequest:
    """What a caller asks."""

    key: TeamKey
    leaving: Leaving = field(default_factory=Leaving)
    idempotency_key: str | None = None

    def fingerprint(self) -> str:
        """The same for the same request."""
        body = [
            "deprovision",
            self.key.org_id,
            self.key.team_node_id,
            self.leaving.delete_k8s_resources,
            self.leaving.delete_config,
        ]
        return hashlib.sha256(json.dumps(body).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What a deprovisioning would do to each object of the team."""

    deleted: tuple[Ref, ...]
    not_found: tuple[Ref, ...]
    kept: tuple[Ref, ...]


class Deprovisioning:
    """Deprovisions teams."""

    def __init__(
        self,
        *,
        database: Database,
        config: ConfigService,
        cluster: Cluster,
        platform: Platform,
        signals: Signals,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._config = config
        self._cluster = cluster
        self._platform = platform
        self._signals = signals
        self._clock = clock

    async def plan(self, request: DeprovisionRequest, caller: Caller) -> Removal:
        """What deprovisioning would do; nothing is stored or changed.

        Raises:
            NotFound: nobody has ever heard of the team.
            TeamProtected: it would be refused.
            DependencyAway: the cluster cannot say.
        """
        caller.require_team(request.key)
        team = await self._known(request.key)
        candidates = team.inventory | possible_refs(team.key, team.spec, team.names, self._platform)
        live = await self._cluster.get_many(candidates)
        present = {ref for ref, obj in live.items() if obj is not None and belongs_to(obj, request.key)}
        goes = present if request.leaving.delete_k8s_resources else set()
        return Removal(
            deleted=tuple(sorted(goes)),
            not_found=tuple(sorted(candidates - present)),
            kept=tuple(sorted(present - goes)),
        )

    async def deprovision(self, request: DeprovisionRequest, caller: Caller) -> RunRecord:
        """Keep that the team is to go; the run tells how that goes.

        Raises:
            NotFound: nobody has ever heard of the team.
            TeamProtected: its protection has to be lifted first.
            IdempotencyKeyReused: the key was used for another request.
        """
        caller.require_team(request.key)
        for _ in range(ATTEMPTS):
            earlier = await earlier_run(
                self._database,
                caller=caller,
                key=request.idempotency_key,
                fingerprint=request.fingerprint(),
                now=self._clock(),
            )
            if earlier is not None:
                return earlier
            team = await self._known(request.key)
            try:
                run = await self._keep(request, caller, team)
            except IntegrityError:
                # Another caller changed the team, or used the key, since we looked.
                continue
            if run is not None:
                self._signals.team_changed(request.key)
                return run
        raise TooBusy(team=request.key)

    async def _known(self, key: TeamKey) -> TeamRecord:
        async with self._database.reading() as connection:
            team = await teams.get(connection, key)
            names = team.names if team is not None else await claims.free_names(connection, key)
        if team is not None:
            if team.spec.protected and team.state is TeamState.ACTIVE:
                raise TeamProtected(team=key)
            return team
        return await self._heard_of(key, names)

    async def _heard_of(self, key: TeamKey, names: TeamNames) -> TeamRecord:
        """A team that is in the Config Service or the cluster, though not in the database."""
        labels = {MANAGED_BY_LABEL: FIELD_MANAGER, ORG_LABEL: key.org_id, TEAM_LABEL: key.team_node_id}
        found = await together(
            labelled(self._cluster, kind, labels, namespace=self._platform.namespace)
            for kind in WATCHED_KINDS
        )
        places = {self._platform.namespace, names.namespace}
        inventory = frozenset(Ref.of(obj) for objects in found for obj in objects if place_of(obj) in places)
        if not inventory and await self._config.get_team(key) is None:
            raise NotFound(what=f"Team {key}")
        now = self._clock()
        return TeamRecord(
            key=key,
            state=TeamState.GONE,
            spec=TeamSpec(),
            generation=0,
            names=names,
            inventory=inventory,
            created_at=now,
            updated_at=now,
        )

    async def _keep(
        self, request: DeprovisionRequest, caller: Caller, before: TeamRecord
    ) -> RunRecord | None:
        now = self._clock()
        run = RunRecord(
            id=str(uuid7()),
            key=request.key,
            kind=RunKind.DEPROVISION,
            status=RunStatus.RUNNING,
            generation=before.generation + 1,
            requested_by=caller.name,
            request={
                "delete_k8s_resources": request.leaving.delete_k8s_resources,
                "delete_config": request.leaving.delete_config,
            },
            created_at=now,
            result={"deployment_mode": before.spec.deployment_mode.value},
        )
        team = replace(
            before,
            state=TeamState.LEAVING,
            generation=run.generation,
            leaving=request.leaving,
            run_id=run.id,
            due_at=now,
            failures=0,
            restore_until=_restore_until(before, now),
            updated_at=now,
        )
        async with self._database.unit_of_work() as connection:
            if before.generation == 0:
                await claims.claim_names(connection, request.key, team.names)
                await teams.insert(connection, team)
            elif not await teams.change_wanted(connection, team, seen_generation=before.generation):
                return None
            superseded = await record_run(
                connection,
                run,
                caller=caller,
                key=request.idempotency_key,
                fingerprint=request.fingerprint(),
            )
            await notices.team_changed(connection, self._signals, request.key)
        for run_id in superseded:
            self._signals.run_moved(run_id)
        return run


def _restore_until(team: TeamRecord, now: float) -> float | None:
    """Until when the team may come back as it was; asking again does not move it."""
    if team.state is not TeamState.ACTIVE:
        return team.restore_until
    kept = parse_duration(team.spec.restore_within) if team.spec.restore_within else timedelta(0)
    return now + kept.total_seconds() if kept else None
