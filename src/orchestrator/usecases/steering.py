"""What changes nothing of what is wanted of a team, only when something is done about it."""

from collections.abc import Callable

from orchestrator.domain.team import TeamKey
from orchestrator.store import notices, teams
from orchestrator.store.signals import Signals
from servicekit.database import Database


class Steering:
    """Has teams looked at.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database, signals: Signals, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._signals = signals
        self._clock = clock

    async def look_again(self, key: TeamKey) -> None:
        """Have the team looked at as a whole, as soon as somebody can."""
        async with self._database.unit_of_work() as connection:
            await teams.make_due(connection, key, now=self._clock())
            await notices.team_changed(connection, self._signals, key)
        self._signals.team_changed(key)
