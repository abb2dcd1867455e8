"""Pods and pod templates."""

import re
from collections.abc import Mapping
from typing import Any

from devcluster import quantity
from devcluster.objects import Object
from devcluster.validation.names import check_label_name, check_labels, check_qualified_name, check_subdomain
from devcluster.validation.report import Report

_ENV_NAME_RULE = (
    "a valid environment variable name must consist only of printable ASCII characters other than '='"
)
_SOURCE_RULE = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
)
_ENV_NAME = re.compile(r"[ -<>-~]+")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_PORT_NAME_LENGTH = 15
_STANDARD_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS = ("exec", "grpc", "httpGet", "tcpSocket")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_TOLERATION_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_VOLUME_SOURCES = 1


def check_pod(report: Report, obj: Object) -> None:
    """A pod of its own."""
    check_pod_spec(report, obj.get("spec", {}), "spec")


def check_pod_update(report: Report, obj: Object, live: Object) -> None:
    """Of a running pod's spec only images, tolerations and deadlines may change."""
    before, after = _fixed_part(live.get("spec", {})), _fixed_part(obj.get("spec", {}))
    if not live.get("spec", {}).get("nodeName"):
        after.pop("nodeName", None)
    if before != after:
        report.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
            "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
            "was previously negative)",
        )


def _fixed_part(spec: Mapping[str, Any]) -> dict[str, Any]:
    free = {"activeDeadlineSeconds", "tolerations", "containers", "initContainers", "schedulingGates"}
    fixed = {key: value for key, value in spec.items() if key not in free}
    for field in ("containers", "initContainers"):
        fixed[field] = [{**container, "image": None} for container in spec.get(field, ())]
    return fixed


def check_template(report: Report, template: Mapping[str, Any], field: str) -> None:
    """The template that a controller makes pods from."""
    check_labels(report, template.get("metadata", {}).get("labels"), f"{field}.metadata.labels")
    check_pod_spec(report, template.get("spec", {}), f"{field}.spec")


def check_pod_spec(report: Report, spec: Mapping[str, Any], field: str) -> None:
    """Volumes, containers and the fields around them."""
    volumes = _check_volumes(report, spec.get("volumes", ()), f"{field}.volumes")
    names: set[str] = set()
    if not spec.get("containers"):
        report.required(f"{field}.containers")
    for position, container in enumerate(spec.get("containers", ())):
        _check_container(report, container, f"{field}.containers[{position}]", names, volumes)
    for position, container in enumerate(spec.get("initContainers", ())):
        _check_container(report, container, f"{field}.initContainers[{position}]", names, volumes)
    report.one_of(f"{field}.restartPolicy", spec.get("restartPolicy"), ("Always", "OnFailure", "Never"))
    dns_policies = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
    report.one_of(f"{field}.dnsPolicy", spec.get("dnsPolicy"), dns_policies)
    report.not_negative(f"{field}.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds"))
    if spec.get("serviceAccountName"):
        check_subdomain(report, f"{field}.serviceAccountName", spec["serviceAccountName"])
    if spec.get("priorityClassName"):
        check_subdomain(report, f"{field}.priorityClassName", spec["priorityClassName"])
    check_labels(report, spec.get("nodeSelector"), f"{field}.nodeSelector")
    for position, toleration in enumerate(spec.get("tolerations", ())):
        _check_toleration(report, toleration, f"{field}.tolerations[{position}]")
    for position, constraint in enumerate(spec.get("topologySpreadConstraints", ())):
        _check_spread(report, constraint, f"{field}.topologySpreadConstraints[{position}]")


def _check_volumes(report: Report, volumes: Any, field: str) -> set[str]:
    names: set[str] = set()
    for position, volume in enumerate(volumes):
        here = f"{field}[{position}]"
        name = volume.get("name", "")
        if not name:
            report.required(f"{here}.name")
        else:
            check_label_name(report, f"{here}.name", name)
            if name in names:
                report.duplicate(f"{here}.name", name)
        names.add(name)
        if len(volume) - 1 > _VOLUME_SOURCES:
            report.forbidden(here, "may not specify more than 1 volume type")
    return names


def _check_container(
    report: Report, container: Mapping[str, Any], field: str, names: set[str], volumes: set[str]
) -> None:
    name = container.get("name", "")
    if not name:
        report.required(f"{field}.name")
    else:
        check_label_name(report, f"{field}.name", name)
        if name in names:
            report.duplicate(f"{field}.name", name)
        names.add(name)
    if not container.get("image"):
        report.required(f"{field}.image")
    report.one_of(f"{field}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    _check_ports(report, container.get("ports", ()), f"{field}.ports")
    _check_env(report, container.get("env", ()), f"{field}.env")
    for position, mount in enumerate(container.get("volumeMounts", ())):
        here = f"{field}.volumeMounts[{position}]"
        if not mount.get("mountPath"):
            report.required(f"{here}.mountPath")
        if mount.get("name") not in volumes:
            report.not_found(f"{here}.name", mount.get("name", ""))
    for probe in _PROBES:
        if probe in container:
            _check_probe(report, container[probe], f"{field}.{probe}")
    check_resources(report, container.get("resources", {}), f"{field}.resources")


def _check_ports(report: Report, ports: Any, field: str) -> None:
    names: set[str] = set()
    for position, port in enumerate(ports):
        here = f"{field}[{position}]"
        name = port.get("name")
        if name:
            if len(name) > _PORT_NAME_LENGTH:
                report.invalid(f"{here}.name", name, f"must be no more than {_PORT_NAME_LENGTH} characters")
            elif not _PORT_NAME.fullmatch(name):
                report.invalid(f"{here}.name", name, "must contain at least one letter (a-z)")
            elif name in names:
                report.duplicate(f"{here}.name", name)
            names.add(name)
        if not port.get("containerPort"):
            report.required(f"{here}.containerPort")
        else:
            report.port(f"{here}.containerPort", port["containerPort"])
        report.one_of(f"{here}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))


def _check_env(report: Report, variables: Any, field: str) -> None:
    for position, variable in enumerate(variables):
        name = variable.get("name", "")
        here = f"{field}[{position}]"
        if not name:
            report.required(f"{here}.name")
        elif not _ENV_NAME.fullmatch(name):
            report.invalid(f"{here}.name", name, _ENV_NAME_RULE)
        source = variable.get("valueFrom")
        if source is None:
            continue
        if not source:
            report.invalid(f"{here}.valueFrom", "", _SOURCE_RULE)
        elif variable.get("value"):
            report.invalid(f"{here}.valueFrom", "", "may not be specified when `value` is not empty")
        for reference in ("secretKeyRef", "configMapKeyRef"):
            if reference in source and not source[reference].get("key"):
                report.required(f"{here}.valueFrom.{reference}.key")


def _check_probe(report: Report, probe: Mapping[str, Any], field: str) -> None:
    handlers = [name for name in _HANDLERS if name in probe]
    if not handlers:
        report.required(field, "must specify a handler type")
    for extra in handlers[1:]:
        report.forbidden(f"{field}.{extra}", "may not specify more than 1 handler type")
    for name in ("httpGet", "tcpSocket"):
        if name in probe:
            port = probe[name].get("port")
            if isinstance(port, int):
                report.port(f"{field}.{name}.port", port)
            elif not port or len(port) > _PORT_NAME_LENGTH or not _PORT_NAME.fullmatch(port):
                report.invalid(f"{field}.{name}.port", port or "", "must be a valid port name")
    for number in (
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ):
        report.not_negative(f"{field}.{number}", probe.get(number))


def check_resources(report: Report, resources: Mapping[str, Any], field: str) -> None:
    """Requests and limits: known names, not negative, requests within limits."""
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            here = f"{field}.{kind}[{name}]"
            _check_resource_name(report, name, here)
            if quantity.parse(amount) < 0:
                report.invalid(here, amount, "must be greater than or equal to 0")
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is not None and quantity.parse(amount) > quantity.parse(limit):
            report.invalid(
                f"{field}.requests", amount, f"must be less than or equal to {name} limit of {limit}"
            )
        elif limit is None and "/" in name:
            report.required(f"{field}.limits", "Limit must be set for non overcommitable resources")


def _check_resource_name(report: Report, name: str, field: str) -> None:
    if not check_qualified_name(report, field, name):
        return
    if "/" not in name and name not in _STANDARD_RESOURCES and not name.startswith("hugepages-"):
        report.invalid(field, name, "must be a standard resource type or fully qualified")
        report.invalid(field, name, "must be a standard resource for containers")


def _check_toleration(report: Report, toleration: Mapping[str, Any], field: str) -> None:
    key, operator = toleration.get("key", ""), toleration.get("operator", "Equal")
    if key:
        check_qualified_name(report, f"{field}.key", key)
    elif operator != "Exists":
        rule = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        report.invalid(f"{field}.operator", operator, rule)
    if operator == "Exists" and toleration.get("value"):
        report.invalid(
            f"{field}.operator", toleration["value"], "value must be empty when `operator` is 'Exists'"
        )
    if operator not in {"Equal", "Exists", "Lt", "Gt"}:
        report.unsupported(f"{field}.operator", operator, ("Equal", "Exists"))
    if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
        rule = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        report.invalid(f"{field}.effect", toleration.get("effect", ""), rule)
    report.one_of(f"{field}.effect", toleration.get("effect"), _TOLERATION_EFFECTS)


def _check_spread(report: Report, constraint: Mapping[str, Any], field: str) -> None:
    if constraint.get("maxSkew", 0) <= 0:
        report.invalid(f"{field}.maxSkew", constraint.get("maxSkew", 0), "must be greater than zero")
    if not constraint.get("topologyKey"):
        report.required(f"{field}.topologyKey", "can not be empty")
    when = constraint.get("whenUnsatisfiable", "")
    report.one_of(f"{field}.whenUnsatisfiable", when, ("DoNotSchedule", "ScheduleAnyway"))
