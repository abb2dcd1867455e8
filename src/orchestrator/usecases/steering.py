"""What changes nothing of what is wanted of a team, only when something is done about it."""

from collections.abc import Callable
from dataclasses import replace

from orchestrator.domain.team import TeamKey
from orchestrator.errors import TeamIsNotLeaving
from orchestrator.store import notices, runs, teams
from orchestrator.store.runs import RunRecord
from orchestrator.store.signals import Signals
from orchestrator.store.teams import TeamState
from orchestrator.usecases.caller import Caller
from orchestrator.usecases.provision import ATTEMPTS, TooBusy
from servicekit.database import Database
from servicekit.problems import NotFound


class Steering:
    """Has teams looked at.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database, signals: Signals, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._signals = signals
        self._clock = clock

    async def release(self, key: TeamKey, reason: str, caller: Caller) -> RunRecord:
        """Wait no longer for what holds a leaving team's objects: the run ends, and says what was left and why.

        Nobody's finalizer is taken away: the objects go when whoever holds them lets go.

        Raises:
            NotFound: there is no such team.
            TeamIsNotLeaving: nothing is being waited for.
            TooBusy: the team is being changed by too many callers at once.
        """
        caller.require_team(key)
        for _ in range(ATTEMPTS):
            async with self._database.unit_of_work() as connection:
                team = await teams.get(connection, key)
                if team is None or team.state is TeamState.GONE:
                    raise NotFound(what=f"Team {key}")
                run = await runs.get(connection, team.run_id) if team.run_id is not None else None
                if team.state is not TeamState.LEAVING or team.leaving is None or run is None:
                    raise TeamIsNotLeaving(team=key)
                released = replace(
                    team,
                    leaving=replace(team.leaving, released=f"{caller.name}: {reason}"),
                    generation=team.generation + 1,
                    due_at=self._clock(),
                    failures=0,
                )
                if not await teams.change_wanted(connection, released, seen_generation=team.generation):
                    continue
                await notices.team_changed(connection, self._signals, key)
            self._signals.team_changed(key)
            return run
        raise TooBusy(team=key)

    async def look_again(self, key: TeamKey) -> None:
        """Have the team looked at as a whole, as soon as somebody can."""
        async with self._database.unit_of_work() as connection:
            await teams.make_due(connection, key, now=self._clock())
            await notices.team_changed(connection, self._signals, key)
        self._signals.team_changed(key)
