"""When a CronJob is due, as Kubernetes reads its schedule.

Kubernetes reads schedules with robfig/cron, which differs from other crons in small ways: the week is 0 to
6; a day of the month and a day of the week both count, each by itself, unless one of them is a plain `*`;
what falls into the hour that daylight saving skips does not happen, and what falls into the repeated one
happens twice. The fields are spelled out here to sets of numbers with those rules, and `cronsim` finds the
moments.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_EVERY = "@every "
_DURATION = re.compile(r"([0-9.]+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class _Field(NamedTuple):
    lowest: int
    highest: int
    names: dict[str, int]


_FIELDS = (
    _Field(0, 59, {}),
    _Field(0, 23, {}),
    _Field(1, 31, {}),
    _Field(1, 12, _MONTHS),
    _Field(0, 6, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The moments at which a CronJob is due; the API server has checked the text."""

    #: For cronsim, with seconds; `None` with `@every`.
    expression: str | None
    zone: ZoneInfo
    #: With `@every`.
    interval: timedelta | None = None

    @classmethod
    def parse(cls, text: str, time_zone: str | None) -> "Schedule":
        """Read the `schedule` and `timeZone` of a CronJob; without a zone the clock is in UTC."""
        zone = ZoneInfo(time_zone or "UTC")
        if text.startswith(_EVERY):
            return cls(None, zone, _interval(text.removeprefix(_EVERY)))
        fields = _DESCRIPTORS.get(text, text).split()
        spelled = [_spelled(each, field) for each, field in zip(fields, _FIELDS, strict=True)]
        # Six fields: with five, cronsim would move what daylight saving skips.
        return cls(" ".join(["0", *spelled]), zone)

    def first_after(self, moment: datetime) -> datetime | None:
        """The first due moment after this one, in UTC; `None`: never."""
        if self.interval is not None:
            return moment.replace(microsecond=0) + self.interval
        return self._found(moment, reverse=False)

    def last_until(self, moment: datetime, since: datetime) -> datetime | None:
        """The last due moment not after this one, but after `since`; `None` if there is none."""
        if self.interval is not None:
            rounds = (moment - since.replace(microsecond=0)) // self.interval
            return since.replace(microsecond=0) + rounds * self.interval if rounds > 0 else None
        # The search backwards begins before the moment that it is given.
        found = self._found(moment.replace(microsecond=0) + timedelta(seconds=1), reverse=True)
        return found if found is not None and found > since else None

    def _found(self, moment: datetime, *, reverse: bool) -> datetime | None:
        assert self.expression is not None
        try:
            return next(CronSim(self.expression, moment.astimezone(self.zone), reverse=reverse)).astimezone(
                UTC
            )
        except (CronSimError, StopIteration):
            # The thirty-first of February: accepted, and never due.
            return None


def _interval(text: str) -> timedelta:
    sign = -1 if text.startswith("-") else 1
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
    # Whole seconds, and at least one.
    return timedelta(seconds=max(1, int(sign * seconds)))


def _spelled(text: str, field: _Field) -> str:
    """One field as `*`, which leaves the other day field alone to decide, or as a list of numbers."""
    numbers: set[int] = set()
    for part in text.split(","):
        if part:
            chosen, unrestricted = _numbers(part, field)
            if unrestricted:
                return "*"
            numbers |= chosen
    return ",".join(str(number) for number in sorted(numbers))


def _numbers(part: str, field: _Field) -> tuple[set[int], bool]:
    span, slash, step_text = part.partition("/")
    step = int(step_text) if slash else 1
    low, hyphen, high = span.partition("-")
    if low in {"*", "?"}:
        return set(range(field.lowest, field.highest + 1, step)), step == 1
    first = _number(low, field)
    open_end = field.highest if slash else first
    last = _number(high, field) if hyphen else open_end
    return set(range(first, last + 1, step)), False


def _number(text: str, field: _Field) -> int:
    named = field.names.get(text.lower())
    return int(text) if named is None else named
