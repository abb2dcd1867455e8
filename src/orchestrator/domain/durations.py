"""Durations as Go writes them: `72h`, `1h30m`, `0`."""

import re
from datetime import timedelta
from fractions import Fraction

#: Go keeps a duration in 64 bits of nanoseconds.
_MAX_NANOSECONDS = 2**63 - 1

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "\u03bcs": 1_000,  # the Greek letter, which Go takes as well
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_TERM = re.compile(
    r"([0-9]+\.?[0-9]*|\.[0-9]+)(" + "|".join(sorted(_NANOSECONDS, key=len, reverse=True)) + ")"
)
_DURATION = re.compile(rf"([+-]?)(?:0|((?:{_TERM.pattern})+))")
#: Far more than any sensible duration takes; keeps the cost of a hostile one down.
_MAX_LENGTH = 64


class InvalidDurationError(ValueError):
    """The text is no duration; the message says what one looks like."""


def parse(text: str) -> timedelta:
    """The duration that Go's `time.ParseDuration` reads, to the microsecond (towards zero).

    Raises:
        InvalidDurationError: the text is no duration, or longer than some 292 years.
    """
    match = _DURATION.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise InvalidDurationError("must be a duration such as '72h', '1h30m' or '0'")
    nanoseconds = sum(
        (Fraction(number) * _NANOSECONDS[unit] for number, unit in _TERM.findall(match[2] or "")), Fraction(0)
    )
    if nanoseconds > _MAX_NANOSECONDS:
        raise InvalidDurationError("must be at most 2562047h")
    magnitude = timedelta(microseconds=int(nanoseconds / 1000))
    return -magnitude if match[1] == "-" else magnitude


def check(text: str) -> str | None:
    """What is wrong with this duration; `None` when it is one that is not negative."""
    try:
        duration = parse(text)
    except InvalidDurationError as error:
        return str(error)
    return "must not be negative" if duration < timedelta(0) else None
