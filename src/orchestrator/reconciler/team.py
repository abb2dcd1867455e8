"""One pass over one team: load, observe, plan, apply, report."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.clients.config_service import ConfigService, ConfigServiceRefused
from orchestrator.cluster.client import Cluster
from orchestrator.cluster.informers import Informers
from orchestrator.domain.conditions import Condition, ConditionType, Reason, merged
from orchestrator.domain.manifests import Platform
from orchestrator.domain.team import Mode, TeamKey, TeamSpec
from orchestrator.errors import DependencyAway
from orchestrator.lease import Lease, LeaseLostError
from orchestrator.reconciler.backoff import backoff_s
from orchestrator.reconciler.deprovisioning import Deprovisioner
from orchestrator.reconciler.fights import Fights
from orchestrator.reconciler.journal import Journal
from orchestrator.reconciler.outcome import BrakedError, NotYet, Outcome
from orchestrator.reconciler.provisioning import Provisioner
from orchestrator.reconciler.steady import Steady
from orchestrator.store import brake, claims, notices, runs, teams
from orchestrator.store.runs import RunRecord, RunStatus
from orchestrator.store.signals import Signals
from orchestrator.store.teams import Leaving, Reported, TeamRecord, TeamState
from servicekit.database import Database
from servicekit.errors import DatabaseAway
from servicekit.problems import Problem, problem_body

log = structlog.get_logger()

#: How soon and how seldom to look again at an agent that is not available, in seconds; a watch tells before that.
NOT_READY_LOOK_S = 5.0
NOT_READY_SELDOM_S = 60.0
#: How soon to ask the brake again, in seconds; releasing it wakes those that it held.
BRAKED_LOOK_S = 60.0
#: How soon to look whether somebody still changes what was put right, in seconds.
FIGHT_LOOK_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How the reconciler paces itself."""

    #: How long a claim lasts without a sign of life.
    lease: timedelta
    #: How often a team is looked at when nothing wakes us.
    resync_interval: timedelta


_WRONG = frozenset(
    {Reason.REFUSED, Reason.WAITING_FOR_DEPENDENCY, Reason.DELETION_HELD, Reason.BRAKE_ENGAGED}
)


class TeamReconciler:
    """Reconciles teams, one pass at a time each.

    Args:
        holder: the name under which this process claims teams.
        clock: seconds since the epoch.
        monotonic: seconds that only grow, whatever happens to the process.
        jitter: a random number between 0 and 1.
    """

    def __init__(
        self,
        *,
        database: Database,
        cluster: Cluster,
        config: ConfigService,
        informers: Informers,
        platform: Platform,
        signals: Signals,
        holder: str,
        timing: Timing,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._signals = signals
        self._holder = holder
        self._timing = timing
        self._clock = clock
        self._monotonic = monotonic
        self._jitter = jitter
        self._steady = Steady(informers, platform)
        self._fights = Fights(clock)
        self._provisioner = Provisioner(
            cluster, config, platform, informers, self._steady, self._fights, may_go_on=self._may_go_on
        )
        self._deprovisioner = Deprovisioner(cluster, config, platform)

    async def reconcile(self, key: TeamKey) -> None:
        """Look at the team and bring it closer to what is wanted; nothing when somebody else is at it.

        Raises:
            DatabaseAway: nothing was written; the team stays due.
        """
        now, seconds = self._clock(), self._timing.lease.total_seconds()
        lease = Lease(seconds, monotonic=self._monotonic)
        asked_at = self._monotonic()
        async with self._database.unit_of_work() as connection:
            team = await teams.lease(connection, key, holder=self._holder, now=now, until=now + seconds)
            if team is None:
                return
            run = await runs.get(connection, team.run_id) if team.run_id is not None else None
        if run is not None and run.ended:
            run = None
        lease.renewed(asked_at)
        with lease.held():
            work = asyncio.create_task(self._pass(team, run))
        renewal = asyncio.create_task(self._renew(team, lease))
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            else:
                log.warning("lease_lost", team=str(team.key))
        finally:
            work.cancel()
            renewal.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)

    async def hand_back(self) -> None:
        """Let others have what this process still holds; for when it stops.

        Raises:
            DatabaseAway: the leases run out by themselves.
        """
        async with self._database.unit_of_work() as connection:
            await teams.release_leases(connection, holder=self._holder)

    async def _renew(self, team: TeamRecord, lease: Lease) -> None:
        """Give signs of life while a pass lasts; return when the claim was lost or has run out."""
        seconds = self._timing.lease.total_seconds()
        while lease.left_s:
            await asyncio.sleep(min(seconds / 3, lease.left_s))
            asked_at = self._monotonic()
            try:
                async with self._database.unit_of_work() as connection:
                    if not await teams.extend_lease(connection, team, until=self._clock() + seconds):
                        return
            except DatabaseAway as error:
                # The claim is ours until its time is over; the database may be back before that.
                log.warning("lease_not_renewed", team=str(team.key), cause=str(error))
                await asyncio.sleep(min(seconds / 30, lease.left_s))
            else:
                lease.renewed(asked_at)

    async def _pass(self, team: TeamRecord, run: RunRecord | None) -> None:
        journal = Journal(
            team.key,
            run.id if run is not None else None,
            run.steps if run is not None else (),
            run.result if run is not None else {},
            signals=self._signals,
            clock=self._clock,
        )
        try:
            outcome = await self._work(team, journal, asked_for=run is not None)
        except LeaseLostError:
            # Whoever has the team now, or takes it next, begins from what there is.
            log.warning("lease_lost", team=str(team.key))
        except DependencyAway as error:
            await self._report_waiting(team, run, journal, str(error), error.retry_after_s)
        except NotYet as not_yet:
            await self._report_waiting(
                team, run, journal, not_yet.waiting_for, not_yet.look_again_s, busy=True
            )
        except BrakedError as error:
            await self._report_waiting(
                team, run, journal, str(error), BRAKED_LOOK_S, reason=Reason.BRAKE_ENGAGED
            )
        except (Problem, ConfigServiceRefused) as error:
            await self._report_refused(team, run, journal, error)
        except Exception as error:
            # A bug must neither end the reconciler nor lose the request.
            log.exception("pass_failed", team=str(team.key))
            await self._report_waiting(
                team, run, journal, f"an internal error ({type(error).__name__})", None
            )
        else:
            await self._report_done(outcome, run, journal, seen_generation=team.generation)

    async def _work(self, team: TeamRecord, journal: Journal, *, asked_for: bool) -> Outcome:
        if team.state is TeamState.LEAVING:
            self._steady.forget(team)
            return await self._deprovisioner.run(team, journal)
        if team.state is TeamState.GONE:
            return await self._expire(team, journal)
        only_woken = not asked_for and team.due_at is not None and team.due_at > self._clock()
        known = self._steady.outcome(team) if only_woken else None
        return known or await self._provisioner.run(team, journal, asked_for=asked_for)

    async def _may_go_on(self, key: TeamKey) -> None:
        """Ask the brake before a team is put right in a big way though nobody asked for it.

        Raises:
            BrakedError: it is on.
        """
        async with self._database.unit_of_work() as connection:
            braked = await brake.mark(connection, key, now=self._clock())
        if braked.engaged_at is not None:
            raise BrakedError(
                f"the brake is engaged: {braked.reason}; `orchestrator brake release` lets it go on"
            )

    async def _expire(self, team: TeamRecord, journal: Journal) -> Outcome:
        """A team that left: once it can no longer come back as it was, nothing of it is kept."""
        if team.restore_until is None or team.restore_until > self._clock():
            return Outcome(team=team, ready=False, ready_message="the team is deprovisioned")
        return await self._deprovisioner.run(replace(team, restore_until=None), journal)

    async def _report_done(
        self, outcome: Outcome, run: RunRecord | None, journal: Journal, *, seen_generation: int
    ) -> None:
        team = outcome.team
        fought_over = self._fights.with_whom(team.key)
        conditions = self._conditions(
            team,
            fought_over=fought_over,
            provisioned=(Reason.APPLIED, "")
            if team.state is TeamState.ACTIVE
            else (Reason.DEPROVISIONED, ""),
            ready=outcome.ready,
            message=outcome.ready_message,
        )
        if team.state is TeamState.GONE:
            due_at = team.restore_until
        else:
            due_at = self._clock() + self._pause_s(conditions, settled=outcome.ready or team.spec.suspended)
            if fought_over is not None:
                # Once there is peace again, that is to be said.
                due_at = min(due_at, self._clock() + FIGHT_LOOK_S)
            if run is None and team.due_at is not None and self._clock() < team.due_at < due_at:
                # Not due yet: being woken puts no resync off, only an agent's availability does.
                due_at = team.due_at if outcome.ready == team.ready else due_at
        team = replace(
            team,
            observed_generation=team.generation,
            conditions=conditions,
            ready=outcome.ready,
            due_at=due_at,
            failures=0,
        )
        if run is not None:
            status = RunStatus.FAILED if run.error is not None else RunStatus.SUCCEEDED
            run = replace(run, status=status, ended_at=self._clock(), waiting_for=None)
        await self._write(team, run, journal, seen_generation=seen_generation)
        log.info("pass_done", team=str(team.key), generation=team.generation, ready=team.ready)

    def _pause_s(self, conditions: tuple[Condition, ...], *, settled: bool) -> float:
        """Until the next look: the resync, or sooner while the agent is not available, the seldomer the longer."""
        resync = self._timing.resync_interval.total_seconds() * (0.9 + 0.2 * self._jitter())
        if settled:
            return resync
        since = next(item for item in conditions if item.type is ConditionType.READY).last_transition_time
        unready_s = self._clock() - since.timestamp()
        return min(resync, NOT_READY_SELDOM_S, max(NOT_READY_LOOK_S, unready_s / 2))

    async def _report_waiting(
        self,
        team: TeamRecord,
        run: RunRecord | None,
        journal: Journal,
        waiting_for: str,
        look_again_s: float | None,
        *,
        busy: bool = False,
        reason: Reason = Reason.WAITING_FOR_DEPENDENCY,
    ) -> None:
        failures = team.failures + 1
        pause = backoff_s(failures, jitter=self._jitter(), at_least_s=look_again_s or 0.0, busy=busy)
        if busy:
            reason = Reason.IN_PROGRESS
        if team.state is not TeamState.ACTIVE:
            reason = Reason.DELETION_HELD if busy else Reason.DEPROVISIONING
        reported = replace(
            team,
            conditions=self._conditions(
                team, provisioned=(reason, waiting_for), ready=team.ready, message=waiting_for, settled=False
            ),
            ready=team.ready and team.state is TeamState.ACTIVE,
            due_at=self._clock() + pause,
            failures=failures,
        )
        if run is not None:
            run = replace(run, waiting_for=waiting_for)
        log.info("pass_waits", team=str(team.key), waiting_for=waiting_for, again_in_s=round(pause, 2))
        await self._write(reported, run, journal, seen_generation=team.generation)

    async def _report_refused(
        self, team: TeamRecord, run: RunRecord | None, journal: Journal, error: Problem | ConfigServiceRefused
    ) -> None:
        """What is refused for good is put back: a new team to nothing, another to its last good state."""
        problem = _problem(error)
        log.warning("pass_refused", team=str(team.key), problem=problem["detail"])
        if run is None or run.error is not None or team.state is not TeamState.ACTIVE:
            # Nobody waits for it, or putting back was refused itself: say so, and go on trying at a civil pace.
            await self._report_waiting(team, run, journal, str(problem["detail"]), None)
            return
        generation = team.generation + 1
        if team.good_spec is not None:
            back = replace(team, spec=await self._still_free(team.key, team.good_spec))
        else:
            back = replace(team, state=TeamState.LEAVING, leaving=Leaving(delete_config=team.created_config))
        back = replace(
            back,
            generation=generation,
            conditions=self._conditions(
                team, provisioned=(Reason.REFUSED, str(problem["detail"])), ready=False, settled=False
            ),
            due_at=self._clock(),
            failures=1,
        )
        run = replace(
            run, error=problem, generation=generation, waiting_for="what was there before to be put back"
        )
        await self._write(back, run, journal, seen_generation=team.generation)

    async def _write(
        self, team: TeamRecord, run: RunRecord | None, journal: Journal, *, seen_generation: int
    ) -> None:
        now = self._clock()
        try:
            async with self._database.unit_of_work() as connection:
                reported = await teams.report(connection, team, seen_generation=seen_generation, now=now)
                if reported is Reported.LEASE_LOST:
                    log.warning("report_fenced", team=str(team.key))
                    return
                if reported is Reported.WHOLE:
                    await self._write_claims(connection, team, run)
                if run is not None:
                    run = replace(run, steps=journal.steps, result=journal.result)
                    await runs.report(connection, run)
                    if run.status is RunStatus.FAILED:
                        await runs.forget_keys_of(connection, run.id)
                    if run.ended:
                        await notices.run_moved(connection, self._signals, run.id)
        finally:
            if run is not None:
                self._signals.run_moved(run.id)
        if reported is Reported.OVERTAKEN or (team.due_at is not None and team.due_at <= now):
            self._signals.team_changed(team.key)

    async def _still_free(self, key: TeamKey, spec: TeamSpec) -> TeamSpec:
        """The spec without channels that another team has taken since this one let go of them."""
        async with self._database.reading() as connection:
            owners = await claims.channel_owners(connection, spec.slack_channel_ids)
        free = tuple(channel for channel in spec.slack_channel_ids if owners.get(channel, key) == key)
        return replace(spec, slack_channel_ids=free)

    @staticmethod
    async def _write_claims(connection: AsyncConnection, team: TeamRecord, run: RunRecord | None) -> None:
        """A team that left frees its channels; one that was put back has those of its last good state again."""
        if team.state is TeamState.GONE and team.restore_until is None:
            await claims.claim_channels(connection, team.key, ())
        elif team.state is TeamState.ACTIVE and run is not None and run.error is not None:
            await claims.claim_channels(connection, team.key, team.spec.slack_channel_ids)

    def _conditions(
        self,
        team: TeamRecord,
        *,
        provisioned: tuple[Reason, str],
        ready: bool,
        message: str = "",
        settled: bool = True,
        fought_over: str | None = None,
    ) -> tuple[Condition, ...]:
        active = team.state is TeamState.ACTIVE
        now = datetime.fromtimestamp(self._clock(), UTC)
        dedicated = team.spec.deployment_mode is Mode.DEDICATED
        reason, words = provisioned
        if not active:
            ready_reason = Reason.DEPROVISIONED if settled else Reason.DEPROVISIONING
        elif team.spec.suspended:
            ready_reason = Reason.SUSPENDED
        elif not ready:
            ready_reason = Reason.AGENT_NOT_AVAILABLE
        else:
            ready_reason = Reason.AGENT_AVAILABLE if dedicated else Reason.SERVED_BY_SHARED_AGENT
        wrong = (reason, words) if reason in _WRONG else None
        if wrong is None and fought_over is not None:
            wrong = Reason.FIELDS_FOUGHT_OVER, fought_over
        wrong_reason, wrong_words = wrong or (Reason.AS_EXPECTED, "")
        condition = partial(Condition, observed_generation=team.generation, last_transition_time=now)
        new = (
            condition(
                type=ConditionType.PROVISIONED,
                status="True" if active and settled else "False",
                reason=reason,
                message=words,
            ),
            condition(
                type=ConditionType.READY,
                status="True" if active and ready else "False",
                reason=ready_reason,
                message="" if ready and active else message,
            ),
            condition(
                type=ConditionType.DEGRADED,
                status="True" if wrong else "False",
                reason=wrong_reason,
                message=wrong_words,
            ),
        )
        return merged(team.conditions, new)


def _problem(error: Problem | ConfigServiceRefused) -> dict[str, Any]:
    """The problem document that the run keeps and its caller is answered."""
    if isinstance(error, ConfigServiceRefused):
        return problem_body(error.status, "config_service_refused", error.detail)
    members = error.extra | ({"errors": error.errors} if error.errors else {})
    return problem_body(error.status, error.code, error.detail, **members)
