"""Kubernetes quantities (`100m`, `1Gi`, `0.5`, `1e3`), read and written as the API server does."""

import re
from collections.abc import Iterable
from decimal import ROUND_UP, Context, Decimal

#: Ample for the largest quantity (19 digits) with the finest scale (9 digits), added up many times.
_EXACT = Context(prec=100)
#: Nobody means a longer one; keeps the cost of a hostile one down.
_MAX_LENGTH = 64
#: Kubernetes keeps what is larger as this.
_MAX = Decimal(2**63 - 1)
#: Kubernetes rounds every resource of a container up to this.
_MILLI = Decimal("0.001")

_DECIMAL_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:(?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?[0-9]+))?"
)


class InvalidQuantityError(ValueError):
    """The text is no quantity; the message says what one looks like."""


def parse(text: str) -> Decimal:
    """The value, rounded up to thousandths as Kubernetes keeps a container's resources.

    Raises:
        InvalidQuantityError: the text is not of the grammar that Kubernetes documents.
    """
    match = _QUANTITY.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise InvalidQuantityError("must be a quantity such as '500m', '0.5', '2' or '1Gi'")
    value = Decimal(match["number"])
    if match["suffix"] in _BINARY_SUFFIXES:
        value = _EXACT.multiply(value, Decimal(2 ** _BINARY_SUFFIXES[match["suffix"]]))
    else:
        exponent = int(match["exponent"] or _DECIMAL_SUFFIXES[match["suffix"] or ""])
        # Beyond this the result is the same: the largest quantity, or the smallest.
        value = value.scaleb(max(-_MAX_LENGTH * 2, min(exponent, _MAX_LENGTH * 2)), _EXACT)
    return max(-_MAX, min(value, _MAX)).quantize(_MILLI, ROUND_UP, _EXACT)


def check(text: str) -> str | None:
    """What is wrong with this quantity; `None` when it is one that is not negative."""
    try:
        value = parse(text)
    except InvalidQuantityError as error:
        return str(error)
    return "must be greater than or equal to 0" if value < 0 else None


def canonical(text: str) -> str:
    """The text in the form the API server answers with, so that what was sent and what stands compare equal.

    Raises:
        InvalidQuantityError: the text is no quantity.
    """
    value = parse(text)
    if re.search(r"[eE][+-]?[0-9]", text):
        return _as_exponent(value)
    return _as_binary(value) if text.endswith("i") else _as_decimal(value)


def total(texts: Iterable[str]) -> str:
    """The sum, in canonical form; binary when the first is.

    Raises:
        InvalidQuantityError: one of the texts is no quantity.
    """
    texts = list(texts)
    value = Decimal(0)
    for text in texts:
        value = _EXACT.add(value, parse(text))
    is_binary = bool(texts) and texts[0].endswith("i")
    return _as_binary(value) if is_binary else _as_decimal(value)


def _as_binary(value: Decimal) -> str:
    if abs(value) < 1024 or value != value.to_integral_value():  # noqa: PLR2004 - the smallest binary unit
        return _as_decimal(value)
    number, suffix = int(value), ""
    for larger in _BINARY_SUFFIXES:
        if number % 1024:
            break
        number, suffix = number // 1024, larger
    return f"{number}{suffix}"


def _as_decimal(value: Decimal) -> str:
    number, exponent = _thousands(value)
    suffix = next(suffix for suffix, power in _DECIMAL_SUFFIXES.items() if power == exponent)
    return f"{number}{suffix}"


def _as_exponent(value: Decimal) -> str:
    number, exponent = _thousands(value)
    return f"{number}e{exponent}" if exponent else f"{number}"


def _thousands(value: Decimal) -> tuple[int, int]:
    """The value as a whole number times the largest power of a thousand that leaves it whole."""
    number, exponent = int(value.scaleb(3, _EXACT)), -3
    if number == 0:
        return 0, 0
    while number % 1000 == 0:
        number, exponent = number // 1000, exponent + 3
    return number, exponent
