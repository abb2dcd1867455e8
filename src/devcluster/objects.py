"""Small helpers for Kubernetes objects, which are plain JSON dictionaries here."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
#: Namespace (None for what has none) and name.
Key = tuple[str | None, str]
Clock = Callable[[], datetime]


def clone(value: Any) -> Any:
    """A deep copy of JSON; several times faster than `copy.deepcopy`, which expects anything."""
    kind = type(value)
    if kind is dict:
        return {key: clone(item) for key, item in value.items()}
    if kind is list:
        return [clone(item) for item in value]
    return value


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """A moment as Kubernetes writes it: whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def matches_labels(obj: Mapping[str, Any], labels: Mapping[str, str] | None) -> bool:
    """Whether the object bears every one of these labels."""
    if not labels:
        return True
    own = obj["metadata"].get("labels") or {}
    return all(own.get(name) == value for name, value in labels.items())
