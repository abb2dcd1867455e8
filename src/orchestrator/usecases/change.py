"""A request's fields laid over what a team has: what is left out stays, `null` clears."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from orchestrator.domain.team import TeamSpec
from orchestrator.domain.validation import validate_spec
from orchestrator.store.codec import dump_spec, load_spec
from servicekit.problems import Invalid, field_name


def changed_spec(current: TeamSpec, fields: Mapping[str, Any]) -> TeamSpec:
    """The spec that the fields make of the current one.

    Raises:
        Invalid: a field, or the whole, breaks a rule; every mistake is named.
    """
    spec = dump_spec(current)
    for name, value in fields.items():
        spec[name] = _laid_over(spec.get(name), value) if name == "dedicated" else value
    dedicated_mode = spec.get("deployment_mode") == "dedicated"
    if not dedicated_mode and fields.get("dedicated") is None:
        spec["dedicated"] = None
    elif dedicated_mode and spec.get("dedicated") is None:
        spec["dedicated"] = {}
    optional = {"pipeline_schedule", "dedicated", "restore_within"}
    try:
        wanted = load_spec(
            {name: value for name, value in spec.items() if value is not None or name in optional}
        )
    except ValidationError as error:
        mistakes = [{"field": field_name(item["loc"]), "message": item["msg"]} for item in error.errors()]
        raise _invalid(mistakes) from error
    if errors := validate_spec(wanted):
        raise _invalid([{"field": error.field, "message": error.message} for error in errors])
    return wanted


def _invalid(errors: list[dict[str, str]]) -> Invalid:
    return Invalid(summary="; ".join(f"{item['field']}: {item['message']}" for item in errors), errors=errors)


def _laid_over(current: Mapping[str, Any] | None, value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The fields of `dedicated` follow the same rule as the fields around it."""
    if value is None:
        return None
    whole = dict(current or {}) | dict(value)
    return {name: item for name, item in whole.items() if item is not None}
