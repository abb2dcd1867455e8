"""Disruption budgets, autoscalers, priorities, quotas and limits."""

import re
from collections.abc import Mapping
from typing import Any

from devcluster import quantity
from devcluster.objects import Object
from devcluster.validation.names import check_qualified_name, check_selector
from devcluster.validation.report import Report

_PERCENT = re.compile(r"([0-9]+)%")
_WHOLE = 100
_HIGHEST_PRIORITY = 1_000_000_000
_PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
    "regex used for validation is '[0-9]+%')"
)


def check_disruption_budget(report: Report, obj: Object) -> None:
    """A PodDisruptionBudget."""
    spec = obj.get("spec", {})
    if "minAvailable" in spec and "maxUnavailable" in spec:
        written = {
            "MinAvailable": spec["minAvailable"],
            "Selector": spec.get("selector"),
            "MaxUnavailable": spec["maxUnavailable"],
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }
        report.invalid("spec", written, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        if field in spec:
            _check_count_or_percent(report, spec[field], f"spec.{field}")
    policies = ("AlwaysAllow", "IfHealthyBudget")
    report.one_of("spec.unhealthyPodEvictionPolicy", spec.get("unhealthyPodEvictionPolicy"), policies)
    check_selector(report, spec.get("selector", {}), "spec.selector")


def _check_count_or_percent(report: Report, value: Any, field: str) -> None:
    if isinstance(value, int):
        report.not_negative(field, value)
        return
    match = _PERCENT.fullmatch(value)
    if match is None:
        report.invalid(field, value, _PERCENT_RULE)
    elif int(match[1]) > _WHOLE:
        report.invalid(field, value, "must not be greater than 100%")


def check_autoscaler(report: Report, obj: Object) -> None:
    """A HorizontalPodAutoscaler."""
    spec = obj.get("spec", {})
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and least < 1:
        report.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        report.invalid("spec.maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        report.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef", {})
    for field in ("kind", "name"):
        if not target.get(field):
            report.required(f"spec.scaleTargetRef.{field}")
    metrics = spec.get("metrics", ())
    for position, metric in enumerate(metrics):
        _check_metric(report, metric, f"spec.metrics[{position}]")
    if least == 0 and not any(metric.get("type") in {"Object", "External"} for metric in metrics):
        detail = "must specify at least one Object or External metric to support scaling to zero replicas"
        report.forbidden("spec.metrics", detail)


def _check_metric(report: Report, metric: Mapping[str, Any], field: str) -> None:
    kinds = ("ContainerResource", "External", "Object", "Pods", "Resource")
    if not metric.get("type"):
        report.required(f"{field}.type", "must specify a metric source type")
        return
    report.one_of(f"{field}.type", metric["type"], kinds)
    if metric["type"] == "Resource":
        resource = metric.get("resource")
        if resource is None:
            report.required(f"{field}.resource", "must populate information for the given metric source")
            return
        used = resource.get("target", {}).get("averageUtilization")
        if used is not None and used < 1:
            report.invalid(f"{field}.resource.target.averageUtilization", used, "must be greater than 0")


def check_priority_class(report: Report, obj: Object) -> None:
    """A PriorityClass."""
    if obj.get("value", 0) > _HIGHEST_PRIORITY and not obj["metadata"]["name"].startswith("system-"):
        detail = f"maximum allowed value of a user defined priority is {_HIGHEST_PRIORITY}"
        report.forbidden("value", detail)
    policies = ("Never", "PreemptLowerPriority")
    report.one_of("preemptionPolicy", obj.get("preemptionPolicy"), policies)


def check_priority_class_update(report: Report, obj: Object, live: Object) -> None:
    """Value and policy of a PriorityClass stay."""
    if obj.get("value", 0) != live.get("value", 0):
        report.forbidden("value", "may not be changed in an update.")
    if obj.get("preemptionPolicy") != live.get("preemptionPolicy"):
        report.invalid("preemptionPolicy", obj.get("preemptionPolicy"), "field is immutable")


def check_quota(report: Report, obj: Object) -> None:
    """A ResourceQuota."""
    for name, amount in obj.get("spec", {}).get("hard", {}).items():
        field = f"spec.hard[{name}]"
        check_qualified_name(report, field, name)
        if quantity.parse(amount) < 0:
            report.invalid(field, amount, "must be greater than or equal to 0")


def check_limit_range(report: Report, obj: Object) -> None:
    """A LimitRange."""
    for position, item in enumerate(obj.get("spec", {}).get("limits", ())):
        field = f"spec.limits[{position}]"
        if not item.get("type"):
            report.required(f"{field}.type")
        limits, requests = item.get("default", {}), item.get("defaultRequest", {})
        least, most = item.get("min", {}), item.get("max", {})
        for name in sorted({*limits, *requests, *least, *most}):
            bottom, top = ("min value", least.get(name)), ("max value", most.get(name))
            limit = limits.get(name)
            request = ("default request value", requests.get(name))
            _check_order(report, f"{field}.min[{name}]", bottom, top)
            _check_order(report, f"{field}.defaultRequest[{name}]", request, ("default limit value", limit))
            _check_order(report, f"{field}.default[{name}]", ("default value", limit), top)


def _check_order(
    report: Report, field: str, low: tuple[str, str | None], high: tuple[str, str | None]
) -> None:
    """Refuse a lower amount above the higher one; each comes with what it is called."""
    (low_called, less), (high_called, more) = low, high
    if less is not None and more is not None and quantity.parse(less) > quantity.parse(more):
        report.invalid(field, less, f"{low_called} {less} is greater than {high_called} {more}")
