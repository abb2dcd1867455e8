"""Secrets, ConfigMaps, events, access rules and leases."""

import re
from collections.abc import Mapping
from typing import Any

from devcluster.objects import Object
from devcluster.validation.report import Report

_MAX_DATA_BYTES = 1024 * 1024
_KEY_LENGTH = 253
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
    "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_NEEDED_KEYS: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/basic-auth": ("username", "password"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
}
_FROZEN = "field is immutable when `immutable` is set"


def check_secret(report: Report, obj: Object) -> None:
    """A Secret."""
    data = obj.get("data", {})
    _check_keys(report, data, "data")
    # Three bytes are four letters of base64, less the padding.
    size = sum(len(value) * 3 // 4 - value[-2:].count("=") for value in data.values())
    if size > _MAX_DATA_BYTES:
        report.too_long("data", _MAX_DATA_BYTES)
    needed = [key for key in _NEEDED_KEYS.get(obj.get("type", ""), ()) if key not in data]
    if obj.get("type") == "kubernetes.io/basic-auth" and len(needed) == 1:
        return
    for key in needed:
        report.required(f"data[{key}]")


def check_secret_update(report: Report, obj: Object, live: Object) -> None:
    """The type of a Secret stays; an immutable one stays altogether."""
    if obj.get("type") != live.get("type"):
        report.invalid("type", obj.get("type"), "field is immutable")
    _check_frozen(report, obj, live, ("data",))


def check_config_map(report: Report, obj: Object) -> None:
    """A ConfigMap."""
    texts, binaries = obj.get("data", {}), obj.get("binaryData", {})
    _check_keys(report, texts, "data")
    _check_keys(report, binaries, "binaryData")
    size = sum(len(value.encode()) for value in texts.values())
    size += sum(len(value) * 3 // 4 for value in binaries.values())
    if size > _MAX_DATA_BYTES:
        report.too_long("", _MAX_DATA_BYTES)


def check_config_map_update(report: Report, obj: Object, live: Object) -> None:
    """An immutable ConfigMap stays."""
    _check_frozen(report, obj, live, ("data", "binaryData"))


def _check_frozen(report: Report, obj: Object, live: Object, fields: tuple[str, ...]) -> None:
    if not live.get("immutable"):
        return
    if not obj.get("immutable"):
        report.forbidden("immutable", _FROZEN)
    for field in fields:
        if obj.get(field) != live.get(field):
            report.forbidden(field, _FROZEN)


def _check_keys(report: Report, data: Mapping[str, Any], field: str) -> None:
    for key in data:
        here = f"{field}[{key}]"
        if len(key) > _KEY_LENGTH:
            report.invalid(here, key, f"must be no more than {_KEY_LENGTH} characters")
        if not _KEY.fullmatch(key):
            report.invalid(here, key, _KEY_RULE)
        elif key in {".", ".."}:
            report.invalid(here, key, f"must not be '{key}'")


def check_event(report: Report, obj: Object) -> None:
    """A core event."""
    involved = obj.get("involvedObject", {}).get("namespace", "")
    own = obj["metadata"].get("namespace")
    if involved != own and not (involved == "" and own == "default"):
        report.invalid("involvedObject.namespace", involved, "does not match event.namespace")


def check_event_v1(report: Report, obj: Object) -> None:
    """A core event that came in through the group events.k8s.io, which asks for more."""
    if not obj.get("eventTime"):
        report.required("eventTime")
    for ours, theirs in (("reportingComponent", "reportingController"), ("reportingInstance",) * 2):
        if not obj.get(ours):
            report.required(theirs)
    for field in ("action", "reason"):
        if not obj.get(field):
            report.required(field)
    if obj.get("type") not in {"Normal", "Warning"}:
        # The missing quotation is Kubernetes' own.
        report.invalid("type", "", f"has invalid value: {obj.get('type', '')}")
    check_event(report, obj)


def check_role_binding(report: Report, obj: Object) -> None:
    """A RoleBinding."""
    reference = obj.get("roleRef", {})
    report.one_of("roleRef.kind", reference.get("kind"), ("Role", "ClusterRole"))
    if not reference.get("name"):
        report.required("roleRef.name")
    for position, subject in enumerate(obj.get("subjects", ())):
        field = f"subjects[{position}]"
        if not subject.get("name"):
            report.required(f"{field}.name")
        if subject.get("kind") == "ServiceAccount" and not subject.get("namespace"):
            report.required(f"{field}.namespace")
        report.one_of(f"{field}.kind", subject.get("kind"), ("ServiceAccount", "User", "Group"))


def check_role_binding_update(report: Report, obj: Object, live: Object) -> None:
    """The role that is bound stays."""
    reference = obj.get("roleRef", {})
    if reference != live.get("roleRef"):
        written = {"APIGroup": reference.get("apiGroup", ""), "Kind": reference.get("kind", "")}
        written["Name"] = reference.get("name", "")
        report.invalid("roleRef", written, "cannot change roleRef")


def check_role(report: Report, obj: Object) -> None:
    """A Role."""
    for position, rule in enumerate(obj.get("rules", ())):
        for field in ("verbs", "apiGroups", "resources"):
            if not rule.get(field):
                detail = "" if field == "verbs" else f"{field} must have at least one value"
                report.required(
                    f"rules[{position}].{field}", detail or "verbs must contain at least one value"
                )


def check_lease(report: Report, obj: Object) -> None:
    """A Lease."""
    duration = obj.get("spec", {}).get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        report.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
