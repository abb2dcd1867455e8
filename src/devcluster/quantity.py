"""Kubernetes quantities: parsing, comparing, and the one way in which the API server writes each."""

import re
from decimal import ROUND_UP, Decimal
from functools import lru_cache

from devcluster.errors import ApiError

_PATTERN = re.compile(
    r"^([+-]?(?:[0-9]{1,64}\.?[0-9]{0,64}|\.[0-9]{1,64}))([eE][-+]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i)?$"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL_BY_EXPONENT = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_MILLI = Decimal("1e-3")
_KIBI = 1024
#: More than anybody has; keeps numbers within what Decimal computes exactly.
_LARGEST = Decimal("1e24")
_STEP = 3
_LARGEST_SUFFIX, _SMALLEST_SUFFIX = 18, -3
_MALFORMED = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


class MalformedQuantity(ApiError):
    """Text that is not a quantity."""

    def __init__(self) -> None:
        super().__init__(_MALFORMED)


@lru_cache(maxsize=4096)
def parse(text: str) -> Decimal:
    """The number that a quantity stands for.

    Raises:
        MalformedQuantity: it is none.
    """
    match = _PATTERN.match(text)
    if match is None:
        raise MalformedQuantity
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix in _BINARY:
        value = number * Decimal(_KIBI) ** _BINARY[suffix]
    else:
        value = number * Decimal(10) ** (_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:]))
    if abs(value) > _LARGEST:
        raise MalformedQuantity
    return value


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The quantity as the API server writes it: `0.5` is `500m`, `1024Mi` is `1Gi`, `1u` is `1m`.

    Raises:
        MalformedQuantity: it is none.
    """
    value = parse(text)
    match = _PATTERN.match(text)
    suffix = (match[2] or "") if match else ""
    if suffix in _BINARY and value == value.to_integral_value() and abs(value) >= _KIBI:
        return _binary(int(value))
    if suffix and suffix[0] in "eE" and suffix not in {"E", "Ei"}:
        return _scientific(value)
    return _decimal(value)


def _binary(value: int) -> str:
    written, best = str(value), 0
    for suffix, power in _BINARY.items():
        unit = _KIBI**power
        if value % unit == 0 and power > best:
            written, best = f"{value // unit}{suffix}", power
    return written


def _mantissa(value: Decimal) -> tuple[int, int]:
    """The value as a whole number and a power of ten that is a multiple of three."""
    rounded = value.quantize(_MILLI, rounding=ROUND_UP)
    if rounded == 0:
        return 0, 0
    exponent = _LARGEST_SUFFIX
    while exponent > _SMALLEST_SUFFIX:
        scaled = rounded.scaleb(-exponent)
        if scaled == scaled.to_integral_value():
            break
        exponent -= _STEP
    return int(rounded.scaleb(-exponent)), exponent


def _decimal(value: Decimal) -> str:
    mantissa, exponent = _mantissa(value)
    return f"{mantissa}{_DECIMAL_BY_EXPONENT[exponent]}"


def _scientific(value: Decimal) -> str:
    mantissa, exponent = _mantissa(value)
    return f"{mantissa}e{exponent}" if exponent else str(mantissa)
