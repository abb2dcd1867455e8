"""Cron schedules exactly as the API server reads them, and `H`, which spreads teams over a field's range.

The grammar and the times are those of the cron library that Kubernetes uses. They differ from what common
Python libraries read (`@every`, a day of the week 7, `*/2` as a day, clock changes), so it is read here.
"""

import functools
import importlib.resources
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orchestrator.domain import durations
from orchestrator.domain.naming import team_digest
from orchestrator.domain.team import TeamKey

#: A schedule without any time within so many days has none (Kubernetes looks five years ahead).
_HORIZON = timedelta(days=5 * 366)

#: What Go calls white space between fields; Python's `str.split` also splits at U+001C to U+001F.
_BLANKS = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_HASHED = re.compile(r"H(?:\(([^()]*)\))?(?:/(.*))?", re.DOTALL)

_EVERY = "@every "
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five fields: its bounds, and the names its values may have."""

    name: str
    first: int
    last: int
    names: Mapping[str, int] = field(default_factory=dict)
    #: Up to where a bare `H` spreads; every month has the days up to 28.
    last_hashed: int | None = None


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31, last_hashed=28),
    _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _Field("day of week", 0, 6, {name: number for number, name in enumerate(_WEEKDAYS)}),
)


class InvalidScheduleError(ValueError):
    """The text is no schedule; the message says why."""


@dataclass(frozen=True, slots=True)
class _Values:
    """What a field lets through, and whether it was left open (`*`): that decides how two days combine."""

    values: frozenset[int]
    is_open: bool


@dataclass(frozen=True, slots=True)
class _Crontab:
    minutes: _Values
    hours: _Values
    days: _Values
    months: _Values
    weekdays: _Values

    def has_day(self, day: date) -> bool:
        if day.month not in self.months.values:
            return False
        in_month = day.day in self.days.values
        in_week = day.isoweekday() % 7 in self.weekdays.values
        if self.days.is_open or self.weekdays.is_open:
            return in_month and in_week
        return in_month or in_week

    def times(self, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
        """Every instant whose local clock shows a matching minute: none in a gap, two where it goes back."""
        # A day earlier than the local one: a time of yesterday that comes twice may still be ahead.
        first = after.astimezone(zone).date() - timedelta(days=1)
        for offset in range(_HORIZON.days):
            day = first + timedelta(days=offset)
            if not self.has_day(day):
                continue
            instants = {
                local.astimezone(UTC)
                for hour in self.hours.values
                for minute in self.minutes.values
                for fold in (0, 1)
                if _exists(local := datetime.combine(day, time(hour, minute, fold=fold), zone))
            }
            yield from (instant for instant in sorted(instants) if instant > after)


def validate_schedule(text: str) -> str | None:
    """What is wrong with this schedule, `H` included; `None` when the cluster takes what it resolves to."""
    try:
        _parse(_resolve(text, TeamKey("", "")))
    except InvalidScheduleError as error:
        return str(error)
    return None


def resolve(schedule: str, key: TeamKey) -> str:
    """What goes into the CronJob: `H` replaced by this team's own fixed value, all else to the letter.

    Raises:
        InvalidScheduleError: the text is no schedule.
    """
    resolved = _resolve(schedule, key)
    _parse(resolved)
    return resolved


@functools.cache
def _zones() -> frozenset[str]:
    listed = importlib.resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return frozenset(listed.split())


def validate_time_zone(text: str) -> str | None:
    """What is wrong with this time zone; `None` when it is an IANA name, to the letter."""
    if not text:
        return "must not be empty"
    if text.lower() == "local":
        return "must be an explicit time zone as defined in https://www.iana.org/time-zones"
    return None if text in _zones() else f"unknown time zone {text}"


def next_times(schedule: str, time_zone: str, after: datetime, count: int) -> list[datetime]:
    """The next times a resolved schedule starts something, in UTC; fewer than `count` when it has no more.

    Args:
        schedule: As it stands in the CronJob, without `H`.
        time_zone: An IANA name.
        after: An aware time; for `@every`, the time to count from.
        count: How many times to give.

    Raises:
        InvalidScheduleError: the text is no schedule.
    """
    after = after.astimezone(UTC)
    match _parse(schedule):
        case timedelta() as delay:
            start = after.replace(microsecond=0)
            return [start + delay * (index + 1) for index in range(count)]
        case crontab:
            times = crontab.times(ZoneInfo(time_zone), after)
            return [instant for instant, _ in zip(times, range(count), strict=False)]


def _exists(local: datetime) -> bool:
    """Whether the local clock really shows this time (it is not in the gap when clocks go forward)."""
    back = local.astimezone(UTC).astimezone(local.tzinfo)
    return back.replace(tzinfo=None) == local.replace(tzinfo=None)


def _resolve(text: str, key: TeamKey) -> str:
    """The text with each field that has an `H` replaced; others, and blanks, stay to the letter."""
    if "H" not in text or text.startswith("@"):
        return text
    fields = [part for part in _BLANKS.split(text) if part]
    if len(fields) != len(_FIELDS):
        return text
    resolved = [_resolve_field(part, of, key) for part, of in zip(fields, _FIELDS, strict=True)]
    return text if resolved == fields else " ".join(resolved)


def _resolve_field(text: str, of: _Field, key: TeamKey) -> str:
    parts = [_resolve_part(part, of, key) for part in text.split(",")]
    return ",".join(parts)


def _resolve_part(text: str, of: _Field, key: TeamKey) -> str:
    match = _HASHED.fullmatch(text)
    if match is None:
        return text
    within, every = match.groups()
    first, last = (of.first, of.last_hashed or of.last) if within is None else _hash_range(within, of, text)
    spread = int.from_bytes(team_digest(key, of.name))
    size = last - first + 1
    if every is None:
        return str(first + spread % size)
    step = _positive(every, text)
    start = first + spread % min(step, size)
    return f"{start}-{last}/{step}"


def _hash_range(within: str, of: _Field, text: str) -> tuple[int, int]:
    ends = within.split("-")
    if len(ends) != 2:  # noqa: PLR2004 - a range has two ends
        raise InvalidScheduleError(f"H takes a range such as H(0-29): {text}")
    first, last = (_number(end, of) for end in ends)
    _check_bounds(first, last, of, text)
    return first, last


def _parse(text: str) -> _Crontab | timedelta:
    """Raises InvalidScheduleError; the words are those the API server uses."""
    if not text:
        raise InvalidScheduleError("must not be empty")
    if "TZ" in text:
        raise InvalidScheduleError(
            "cannot use TZ or CRON_TZ in schedule, use the time zone's own field instead"
        )
    if text.startswith(_EVERY):
        return _parse_delay(text)
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise InvalidScheduleError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    fields = [part for part in _BLANKS.split(text) if part]
    if len(fields) != len(_FIELDS):
        raise InvalidScheduleError(f"expected exactly {len(_FIELDS)} fields, found {len(fields)}")
    return _Crontab(*(_parse_field(part, of) for part, of in zip(fields, _FIELDS, strict=True)))


def _parse_delay(text: str) -> timedelta:
    try:
        delay = durations.parse(text.removeprefix(_EVERY))
    except durations.InvalidDurationError as error:
        raise InvalidScheduleError(f"failed to parse duration {text}: {error}") from error
    # What is shorter than a second counts as one, and what is left of a second is dropped.
    return max(timedelta(seconds=delay // timedelta(seconds=1)), timedelta(seconds=1))


def _parse_field(text: str, of: _Field) -> _Values:
    # Empty parts count for nothing: a trailing comma is taken.
    ranges = [_parse_range(part, of) for part in text.split(",") if part]
    return _Values(
        frozenset(value for one in ranges for value in one.values), is_open=any(one.is_open for one in ranges)
    )


def _parse_range(text: str, of: _Field) -> _Values:
    span, *steps = text.split("/")
    if len(steps) > 1:
        raise InvalidScheduleError(f"too many slashes: {text}")
    ends = span.split("-")
    is_open = ends[0] in {"*", "?"}
    if is_open:
        first, last = of.first, of.last
    else:
        first = _number(ends[0], of)
        last = _number(ends[1], of) if len(ends) > 1 else first
        if len(ends) > 2:  # noqa: PLR2004 - a range has two ends
            raise InvalidScheduleError(f"too many hyphens: {text}")
    step = 1
    if steps:
        step = _integer(steps[0])
        last = of.last if len(ends) == 1 else last
    _check_bounds(first, last, of, text)
    if step == 0:
        raise InvalidScheduleError(f"step of range should be a positive number: {text}")
    return _Values(frozenset(range(first, last + 1, step)), is_open=is_open and step == 1)


def _check_bounds(first: int, last: int, of: _Field, text: str) -> None:
    if first < of.first:
        raise InvalidScheduleError(f"beginning of range ({first}) below minimum ({of.first}): {text}")
    if last > of.last:
        raise InvalidScheduleError(f"end of range ({last}) above maximum ({of.last}): {text}")
    if first > last:
        raise InvalidScheduleError(f"beginning of range ({first}) beyond end of range ({last}): {text}")


def _number(text: str, of: _Field) -> int:
    named = of.names.get(text.lower())
    return _integer(text) if named is None else named


def _integer(text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise InvalidScheduleError(f"failed to parse int from {text}")
    number = int(text)
    if number < 0:
        raise InvalidScheduleError(f"negative number ({number}) not allowed: {text}")
    return number


def _positive(text: str, whole: str) -> int:
    number = _integer(text)
    if number == 0:
        raise InvalidScheduleError(f"step of range should be a positive number: {whole}")
    return number
