"""Which cron schedules the API server takes: what its parser, robfig/cron, takes, word for word."""

from collections.abc import Mapping
from dataclasses import dataclass, field

_MONTHS = dict(zip("jan feb mar apr may jun jul aug sep oct nov dec".split(), range(1, 13), strict=True))  # noqa: SIM905 - reads better
_DAYS = dict(zip("sun mon tue wed thu fri sat".split(), range(7), strict=True))  # noqa: SIM905 - reads better
_DESCRIPTORS = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_EVERY = "@every "
_FIELD_COUNT = 5
_UNITS = ("ns", "us", "µs", "μs", "ms", "s", "m", "h")


@dataclass(frozen=True, slots=True)
class _Field:
    minimum: int
    maximum: int
    names: Mapping[str, int] = field(default_factory=dict)


_FIELDS = (_Field(0, 59), _Field(0, 23), _Field(1, 31), _Field(1, 12, _MONTHS), _Field(0, 6, _DAYS))


class BadSchedule(ValueError):
    """A schedule that the API server refuses; the text is its message."""


def check_schedule(schedule: str) -> None:
    """Accept a schedule or say what is wrong with it.

    Raises:
        BadSchedule: the first thing the parser stumbles over.
    """
    if "TZ" in schedule:
        raise BadSchedule("cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
    if schedule.startswith("@"):
        _check_descriptor(schedule)
        return
    parts = schedule.split()
    if len(parts) != _FIELD_COUNT:
        raise BadSchedule(f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    for text, limits in zip(parts, _FIELDS, strict=True):
        for expression in text.split(","):
            # The parser splits at commas and skips what is empty: `1,` is one value.
            if expression:
                _check_range(expression, limits)


def _check_descriptor(schedule: str) -> None:
    if schedule in _DESCRIPTORS:
        return
    if not schedule.startswith(_EVERY):
        raise BadSchedule(f"unrecognized descriptor: {schedule}")
    if not _is_go_duration(schedule[len(_EVERY) :]):
        raise BadSchedule(
            f'failed to parse duration {schedule}: time: invalid duration "{schedule[len(_EVERY) :]}"'
        )


def _check_range(expression: str, limits: _Field) -> None:
    range_text, *steps = expression.split("/")
    low_text, *highs = range_text.split("-")
    single = not highs
    if low_text in {"*", "?"}:
        start, end = limits.minimum, limits.maximum
    else:
        start = _number_or_name(low_text, limits)
        if len(highs) > 1:
            raise BadSchedule(f"too many hyphens: {expression}")
        end = _number_or_name(highs[0], limits) if highs else start
    if len(steps) > 1:
        raise BadSchedule(f"too many slashes: {expression}")
    step = _number(steps[0]) if steps else 1
    if steps and single:
        end = limits.maximum
    if start < limits.minimum:
        raise BadSchedule(f"beginning of range ({start}) below minimum ({limits.minimum}): {expression}")
    if end > limits.maximum:
        raise BadSchedule(f"end of range ({end}) above maximum ({limits.maximum}): {expression}")
    if start > end:
        raise BadSchedule(f"beginning of range ({start}) beyond end of range ({end}): {expression}")
    if step == 0:
        raise BadSchedule(f"step of range should be a positive number: {expression}")


def _number_or_name(text: str, limits: _Field) -> int:
    named = limits.names.get(text.lower())
    return _number(text) if named is None else named


def _number(text: str) -> int:
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if not (digits.isascii() and digits.isdigit()):
        raise BadSchedule(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    value = int(text)
    if value < 0:
        raise BadSchedule(f"negative number ({value}) not allowed: {text}")
    return value


def _is_go_duration(text: str) -> bool:
    """Whether Go's `time.ParseDuration` takes a text: `1h30m`, `0`, `-1.5s`."""
    rest = text[1:] if text[:1] in {"+", "-"} else text
    if rest == "0":
        return True
    if not rest:
        return False
    while rest:
        after = rest.lstrip("0123456789.")
        amount = rest[: len(rest) - len(after)]
        if amount.count(".") > 1 or not amount.strip("."):
            return False
        unit = next((unit for unit in sorted(_UNITS, key=len, reverse=True) if after.startswith(unit)), None)
        if unit is None:
            return False
        rest = after[len(unit) :]
    return True
