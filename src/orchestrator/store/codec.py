"""Domain values as JSON and back; the only place that knows how they are written."""

from typing import Any

from pydantic import TypeAdapter

from orchestrator.domain.conditions import Condition
from orchestrator.domain.team import TeamNames, TeamSpec

_spec = TypeAdapter(TeamSpec)
_names = TypeAdapter(TeamNames)
_conditions = TypeAdapter(tuple[Condition, ...])


def dump_spec(spec: TeamSpec) -> dict[str, Any]:
    """A spec as JSON, defaults included: a default that changes later changes no team."""
    dumped: dict[str, Any] = _spec.dump_python(spec, mode="json")
    return dumped


def load_spec(data: Any) -> TeamSpec:
    """A spec from JSON."""
    return _spec.validate_python(data)


def dump_names(names: TeamNames) -> dict[str, str]:
    """Names as JSON."""
    dumped: dict[str, str] = _names.dump_python(names)
    return dumped


def load_names(data: Any) -> TeamNames:
    """Names from JSON."""
    return _names.validate_python(data)


def dump_conditions(conditions: tuple[Condition, ...]) -> list[dict[str, Any]]:
    """Conditions as JSON."""
    dumped: list[dict[str, Any]] = _conditions.dump_python(conditions, mode="json")
    return dumped


def load_conditions(data: Any) -> tuple[Condition, ...]:
    """Conditions from JSON."""
    return _conditions.validate_python(data)
