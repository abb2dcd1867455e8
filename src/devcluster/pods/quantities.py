"""Kubernetes quantities, as far as a node needs them."""

import math
import re
from decimal import Decimal

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)")


def amount(quantity: str | float) -> Decimal:
    """The number a quantity stands for: cores for CPU, bytes for memory.

    The API server has checked the text; anything else is a `ValueError`.
    """
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None or match[2] not in _SUFFIXES:
        raise ValueError(f"not a quantity: {quantity!r}")
    return Decimal(match[1]) * _SUFFIXES[match[2]]


def in_units_of(quantity: str | float, divisor: str | float) -> int:
    """The quantity divided by the divisor, rounded up."""
    return math.ceil(amount(quantity) / amount(divisor))
