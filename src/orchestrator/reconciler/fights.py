"""Teams whose objects somebody changes again and again after they were put right."""

from collections import defaultdict, deque
from collections.abc import Callable

from orchestrator.domain.managed_fields import other_owners
from orchestrator.domain.objects import Manifest
from orchestrator.domain.plan import Action, PlannedObject
from orchestrator.domain.team import TeamKey

#: So many times within so many seconds is no accident.
TIMES, WITHIN_S = 3, 600.0
_SHOWN = 3


class Fights:
    """Remembers what was put right though nobody had asked, while it is young.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._put_right: dict[TeamKey, deque[tuple[float, str]]] = defaultdict(lambda: deque(maxlen=10))

    def note(self, key: TeamKey, item: PlannedObject, live: Manifest | None) -> None:
        """An object is being put right."""
        if live is None or item.action is not Action.UPDATE:
            return
        told = [change for change in item.changes if "hidden" not in str(change.after)] or list(item.changes)
        words = "; ".join(_words(item, live, change.path) for change in told[:_SHOWN])
        self._put_right[key].append((self._clock(), words))

    def with_whom(self, key: TeamKey) -> str | None:
        """Who changes what, in words for people; `None`: the team has peace."""
        young = [words for at, words in self._put_right.get(key, ()) if self._clock() - at < WITHIN_S]
        if len(young) < TIMES:
            if not young:
                self._put_right.pop(key, None)
            return None
        return f"put right {len(young)} times within {WITHIN_S / 60:.0f} minutes: {young[-1]}"


def _words(item: PlannedObject, live: Manifest, path: str) -> str:
    who = ", ".join(other_owners(live, path)) or "somebody"
    return f"{who} changes {path} of {item.ref.kind} {item.ref.name}"
