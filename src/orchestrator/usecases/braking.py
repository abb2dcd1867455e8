"""Look at the brake, and release it."""

from collections.abc import Callable

from orchestrator.store import brake, notices, teams
from orchestrator.store.brake import BrakeState
from orchestrator.store.signals import Signals
from orchestrator.usecases.caller import Caller
from servicekit.database import Database


class Braking:
    """The brake, for people.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database, signals: Signals, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._signals = signals
        self._clock = clock

    async def state(self) -> BrakeState:
        """The brake as it is."""
        async with self._database.reading() as connection:
            return await brake.state(connection)

    async def release(self, caller: Caller) -> BrakeState:
        """Let everything go on; teams that were held are looked at at once.

        Raises:
            Forbidden: the caller may not touch every org.
        """
        caller.require_installation()
        async with self._database.unit_of_work() as connection:
            marked = await brake.marked(connection)
            released = await brake.release(connection, by=caller.name, now=self._clock())
            for key in marked:
                await teams.make_due(connection, key, now=self._clock())
                await notices.team_changed(connection, self._signals, key)
        for key in marked:
            self._signals.team_changed(key)
        return released
