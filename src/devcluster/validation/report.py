"""Collects what is wrong with an object, in the words of the API server."""

from collections.abc import Iterable
from typing import Any

import msgspec

from devcluster.errors import Cause


class Report:
    """The broken rules of one object, in the order in which they were found."""

    def __init__(self) -> None:
        self.causes: list[Cause] = []

    def required(self, field: str, detail: str = "") -> None:
        """A field that must be there."""
        self.causes.append(
            Cause("FieldValueRequired", field, f"Required value: {detail}" if detail else "Required value")
        )

    def invalid(self, field: str, value: Any, detail: str) -> None:
        """A value that breaks a rule."""
        self.causes.append(Cause("FieldValueInvalid", field, f"Invalid value: {shown(value)}: {detail}"))

    def unsupported(self, field: str, value: Any, supported: Iterable[str]) -> None:
        """A value that is not one of a closed list."""
        listed = ", ".join(f'"{item}"' for item in supported)
        sentence = f"Unsupported value: {shown(value)}: supported values: {listed}"
        self.causes.append(Cause("FieldValueNotSupported", field, sentence))

    def forbidden(self, field: str, detail: str) -> None:
        """A field that may not be set or changed."""
        self.causes.append(Cause("FieldValueForbidden", field, f"Forbidden: {detail}"))

    def duplicate(self, field: str, value: Any) -> None:
        """A value that is there twice."""
        self.causes.append(Cause("FieldValueDuplicate", field, f"Duplicate value: {shown(value)}"))

    def not_found(self, field: str, value: Any) -> None:
        """A value that refers to nothing."""
        self.causes.append(Cause("FieldValueNotFound", field, f"Not found: {shown(value)}"))

    def too_long(self, field: str, limit: int) -> None:
        """A value over its size limit."""
        sentence = f"Too long: may not be more than {limit} bytes"
        self.causes.append(Cause("FieldValueTooLong", field, sentence))

    def not_negative(self, field: str, value: int | None) -> None:
        """Refuse a number below zero."""
        if value is not None and value < 0:
            self.invalid(field, value, "must be greater than or equal to 0")

    def one_of(self, field: str, value: Any, supported: tuple[str, ...]) -> None:
        """Refuse a value that is not in the list; absent is fine."""
        if value is not None and value not in supported:
            self.unsupported(field, value, supported)

    def port(self, field: str, value: Any) -> None:
        """Refuse a number that is no port."""
        if not isinstance(value, int) or not 1 <= value <= MAX_PORT:
            self.invalid(field, value, f"must be between 1 and {MAX_PORT}, inclusive")


MAX_PORT = 65535


def shown(value: Any) -> str:
    """A value as messages quote it."""
    return msgspec.json.encode(value).decode()
