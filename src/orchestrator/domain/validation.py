"""What is wrong with a wanted state: every rule that needs neither cluster nor database, field by field."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from orchestrator.domain import durations, egress, ids, labels, quantities, schedule
from orchestrator.domain.team import (
    Autoscaling,
    Dedicated,
    Mode,
    Resources,
    Sla,
    TeamSpec,
    Toleration,
)

MAX_REPLICAS = 50
#: Of any list that nobody fills by hand further than this.
MAX_ITEMS = 100

_MAX_IMAGE_LENGTH = 255
#: Signed 64 bits, as Kubernetes keeps seconds.
_MAX_SECONDS = 2**63 - 1
_GUARANTEED_REPLICAS = 2

_NATIVE_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OPERATORS = ("Exists", "Equal")

_PATH_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?:(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?/)?"
    rf"{_PATH_PART}(?:/{_PATH_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,})?"
)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong, named as in the API (`dedicated.resources.requests.cpu`)."""

    field: str
    message: str


def validate_spec(spec: TeamSpec) -> list[FieldError]:
    """Everything that is wrong with a wanted state; empty when it may be rendered."""
    return list(_of_spec(spec))


def _of_spec(spec: TeamSpec) -> Iterator[FieldError]:
    yield from _of_channels(spec.slack_channel_ids)
    if spec.pipeline_schedule is not None:
        yield from _of_field("pipeline_schedule", schedule.validate_schedule(spec.pipeline_schedule))
    yield from _of_field("pipeline_time_zone", schedule.validate_time_zone(spec.pipeline_time_zone))
    if spec.restore_within is not None:
        yield from _of_field("restore_within", durations.check(spec.restore_within))
    if spec.dedicated is not None:
        if spec.deployment_mode is not Mode.DEDICATED:
            yield FieldError("dedicated", "is only for deployment_mode 'dedicated'")
        yield from _of_dedicated(spec.dedicated)


def _of_field(field: str, message: str | None) -> Iterator[FieldError]:
    if message is not None:
        yield FieldError(field, message)


def _of_channels(channels: Sequence[str]) -> Iterator[FieldError]:
    if len(channels) > ids.MAX_SLACK_CHANNELS:
        yield FieldError("slack_channel_ids", f"must be at most {ids.MAX_SLACK_CHANNELS}")
        return
    for position, channel in enumerate(channels):
        yield from _of_field(f"slack_channel_ids[{position}]", ids.check_slack_channel_id(channel))
    for position in _repeated(channels):
        yield FieldError(f"slack_channel_ids[{position}]", f"is listed twice: {channels[position]}")


def _of_dedicated(wanted: Dedicated) -> Iterator[FieldError]:
    yield from _of_count("dedicated.replicas", wanted.replicas)
    yield from _of_resources(wanted.resources)
    if wanted.autoscaling is not None:
        yield from _of_autoscaling(wanted.autoscaling, wanted)
    yield from _of_node_selector(wanted.node_selector)
    yield from _of_length("dedicated.tolerations", wanted.tolerations)
    for position, toleration in enumerate(wanted.tolerations[:MAX_ITEMS]):
        yield from _of_toleration(f"dedicated.tolerations[{position}]", toleration)
    if wanted.egress_cidrs is not None:
        yield from _of_egress(wanted.egress_cidrs)
    if wanted.image is not None:
        yield from _of_image(wanted.image)


def _of_count(field: str, count: int) -> Iterator[FieldError]:
    if not 1 <= count <= MAX_REPLICAS:
        yield FieldError(field, f"must be between 1 and {MAX_REPLICAS}")


def _of_length(field: str, items: Sequence[object] | Mapping[str, str]) -> Iterator[FieldError]:
    if len(items) > MAX_ITEMS:
        yield FieldError(field, f"must be at most {MAX_ITEMS}")


def _of_resources(resources: Resources) -> Iterator[FieldError]:
    where = "dedicated.resources"
    values: dict[str, dict[str, Decimal]] = {"requests": {}, "limits": {}}
    for side, given in (("requests", resources.requests), ("limits", resources.limits)):
        yield from _of_length(f"{where}.{side}", given)
        for name, text in list(given.items())[:MAX_ITEMS]:
            problem = _resource_name_problem(name) or quantities.check(text)
            if problem is None:
                values[side][name] = quantities.parse(text)
                problem = _resource_value_problem(name, values[side][name], is_limit=side == "limits")
            yield from _of_field(f"{where}.{side}.{name}", problem)
    for name in values["requests"].keys() & values["limits"].keys():
        request, limit = values["requests"][name], values["limits"][name]
        if name not in _NATIVE_RESOURCES and request != limit:
            yield FieldError(f"{where}.requests.{name}", f"must equal the limit of {resources.limits[name]}")
        elif request > limit:
            yield FieldError(
                f"{where}.requests.{name}",
                f"must be less than or equal to {name} limit of {resources.limits[name]}",
            )


def _resource_name_problem(name: str) -> str | None:
    if name in _NATIVE_RESOURCES:
        return None
    if "/" not in name or "kubernetes.io/" in name or name.startswith("requests."):
        return "must be cpu, memory, ephemeral-storage or a fully qualified extended resource"
    # A quota on it puts `requests.` before the name.
    return labels.check_key(f"requests.{name}")


def _resource_value_problem(name: str, value: Decimal, *, is_limit: bool) -> str | None:
    if name not in _NATIVE_RESOURCES and value != value.to_integral_value():
        return "must be an integer"
    if name in _NATIVE_RESOURCES and is_limit and value == 0:
        return "must be greater than 0"
    return None


def _of_autoscaling(scaling: Autoscaling, wanted: Dedicated) -> Iterator[FieldError]:
    where = "dedicated.autoscaling"
    yield from _of_count(f"{where}.min_replicas", scaling.min_replicas)
    yield from _of_count(f"{where}.max_replicas", scaling.max_replicas)
    if scaling.max_replicas < scaling.min_replicas:
        yield FieldError(f"{where}.max_replicas", "must be greater than or equal to min_replicas")
    if wanted.sla is Sla.GUARANTEED and scaling.max_replicas < _GUARANTEED_REPLICAS:
        yield FieldError(
            f"{where}.max_replicas", f"must be at least {_GUARANTEED_REPLICAS} with sla 'guaranteed'"
        )
    if not 1 <= scaling.cpu_percent <= 100:  # noqa: PLR2004 - per cent
        yield FieldError(f"{where}.cpu_percent", "must be between 1 and 100")
    request = wanted.resources.requests.get("cpu")
    if request is not None and quantities.check(request) is None and quantities.parse(request) == 0:
        yield FieldError("dedicated.resources.requests.cpu", "must be greater than 0 with autoscaling")


def _of_node_selector(selector: Mapping[str, str]) -> Iterator[FieldError]:
    yield from _of_length("dedicated.node_selector", selector)
    for key, value in list(selector.items())[:MAX_ITEMS]:
        problem = labels.check_key(key)
        field = f"dedicated.node_selector.{key}"
        if problem is not None:
            yield FieldError(field, f"the key {problem}")
        yield from _of_field(field, labels.check_value(value))


def _of_toleration(where: str, toleration: Toleration) -> Iterator[FieldError]:
    if toleration.operator and toleration.operator not in _OPERATORS:
        yield FieldError(f"{where}.operator", f"must be one of {', '.join(_OPERATORS)}")
    if toleration.effect and toleration.effect not in _EFFECTS:
        yield FieldError(f"{where}.effect", f"must be one of {', '.join(_EFFECTS)}")
    if toleration.key:
        yield from _of_field(f"{where}.key", labels.check_key(toleration.key))
    elif toleration.operator != "Exists":
        yield FieldError(f"{where}.operator", "must be Exists when there is no key: it tolerates every taint")
    if toleration.value and toleration.operator == "Exists":
        yield FieldError(f"{where}.value", "must be empty when operator is Exists")
    else:
        yield from _of_field(f"{where}.value", labels.check_value(toleration.value or ""))
    yield from _of_toleration_seconds(where, toleration)


def _of_toleration_seconds(where: str, toleration: Toleration) -> Iterator[FieldError]:
    if toleration.toleration_seconds is not None:
        if toleration.effect != "NoExecute":
            yield FieldError(f"{where}.effect", "must be NoExecute when toleration_seconds is set")
        if abs(toleration.toleration_seconds) > _MAX_SECONDS:
            yield FieldError(f"{where}.toleration_seconds", "must be a number of 64 bits")


def _of_egress(cidrs: Sequence[str]) -> Iterator[FieldError]:
    yield from _of_length("dedicated.egress_cidrs", cidrs)
    for position, cidr in enumerate(cidrs[:MAX_ITEMS]):
        yield from _of_field(f"dedicated.egress_cidrs[{position}]", egress.check_cidr(cidr))
    for position in _repeated(cidrs[:MAX_ITEMS]):
        yield FieldError(f"dedicated.egress_cidrs[{position}]", f"is listed twice: {cidrs[position]}")


def _of_image(image: str) -> Iterator[FieldError]:
    if len(image) > _MAX_IMAGE_LENGTH or _IMAGE.fullmatch(image) is None:
        yield FieldError(
            "dedicated.image",
            f"must be an image reference of at most {_MAX_IMAGE_LENGTH} characters, such as 'agent:1'",
        )


def _repeated(items: Iterable[str]) -> list[int]:
    """The positions of those that were there before."""
    first: dict[str, int] = {}
    return [position for position, item in enumerate(items) if first.setdefault(item, position) != position]
