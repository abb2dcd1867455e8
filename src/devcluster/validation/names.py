"""Names, labels and the rest of metadata."""

import re
from collections.abc import Mapping
from typing import Any

from devcluster.kinds import ResourceType
from devcluster.objects import Object
from devcluster.validation.report import Report

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253
_ANNOTATIONS_LENGTH = 256 * 1024

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_PATH_NAME_BAD = re.compile(r"[/%]")

LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_QUALIFIED_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
#: Kinds whose names become a part of a host name.
_LABEL_NAMED = frozenset({"Namespace", "Service"})
#: Kinds whose names may be anything that fits into a path.
_PATH_NAMED = frozenset({"Role", "RoleBinding"})
_CRON_JOB_LENGTH = 52


def check_metadata(report: Report, resource_type: ResourceType, obj: Object) -> None:
    """The name, labels, annotations and owners of an object."""
    metadata = obj["metadata"]
    check_name(report, resource_type, metadata["name"])
    check_labels(report, metadata.get("labels"), "metadata.labels")
    check_annotations(report, metadata.get("annotations"), "metadata.annotations")
    for position, owner in enumerate(metadata.get("ownerReferences", ())):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                report.invalid(
                    f"metadata.ownerReferences[{position}].{field}", "", f"{field} must not be empty"
                )


def check_name(report: Report, resource_type: ResourceType, name: str) -> None:
    """The rule for names of the kind."""
    field = "metadata.name"
    if resource_type.kind in _PATH_NAMED:
        if name in {".", ".."} or _PATH_NAME_BAD.search(name):
            report.invalid(field, name, "may not contain '/' or '%', nor be '.' or '..'")
    elif resource_type.kind in _LABEL_NAMED:
        check_label_name(report, field, name)
    else:
        check_subdomain(report, field, name)
        if resource_type.kind == "CronJob" and len(name) > _CRON_JOB_LENGTH:
            # Jobs get eleven characters more than their CronJob, and labels hold 63.
            report.invalid(field, name, f"must be no more than {_CRON_JOB_LENGTH} characters")


def check_label_name(report: Report, field: str, name: str) -> None:
    """A name that is one part of a host name."""
    if len(name) > LABEL_LENGTH:
        report.invalid(field, name, f"must be no more than {LABEL_LENGTH} characters")
    if _LABEL.fullmatch(name):
        return
    dotted = "." in name and _SUBDOMAIN.fullmatch(name)
    report.invalid(field, name, "must not contain dots" if dotted else LABEL_RULE)


def check_subdomain(report: Report, field: str, name: str) -> None:
    """A name that may have dots."""
    if len(name) > SUBDOMAIN_LENGTH:
        report.invalid(field, name, f"must be no more than {SUBDOMAIN_LENGTH} characters")
    if not _SUBDOMAIN.fullmatch(name):
        report.invalid(field, name, SUBDOMAIN_RULE)


def check_qualified_name(report: Report, field: str, name: str, *, shown_name: str | None = None) -> bool:
    """A key of a label or annotation: `name` or `domain/name`."""
    shown_name = name if shown_name is None else shown_name
    prefix, slash, last = name.rpartition("/")
    before = len(report.causes)
    if slash:
        if not prefix:
            report.invalid(field, shown_name, "prefix part must be non-empty")
        elif not _SUBDOMAIN.fullmatch(prefix) or len(prefix) > SUBDOMAIN_LENGTH:
            report.invalid(field, shown_name, f"prefix part {SUBDOMAIN_RULE}")
    if not last:
        report.invalid(field, shown_name, "name part must be non-empty")
    elif len(last) > LABEL_LENGTH:
        report.invalid(field, shown_name, f"name part must be no more than {LABEL_LENGTH} bytes")
    if not _QUALIFIED.fullmatch(last):
        report.invalid(field, shown_name, _QUALIFIED_RULE)
    return len(report.causes) == before


def check_labels(report: Report, labels: Mapping[str, str] | None, field: str) -> None:
    """Keys and values of labels or of a selector that matches labels."""
    for key, value in (labels or {}).items():
        check_qualified_name(report, field, key)
        if len(value.encode()) > LABEL_LENGTH:
            report.invalid(field, value, f"must be no more than {LABEL_LENGTH} bytes")
        if not _LABEL_VALUE.fullmatch(value):
            report.invalid(field, value, _LABEL_VALUE_RULE)


def check_annotations(report: Report, annotations: Mapping[str, str] | None, field: str) -> None:
    """Keys of annotations, and their size altogether."""
    if not annotations:
        return
    for key in annotations:
        check_qualified_name(report, field, key.lower(), shown_name=key)
    if (
        sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
        > _ANNOTATIONS_LENGTH
    ):
        report.too_long(field, _ANNOTATIONS_LENGTH)


def check_selector(report: Report, selector: Mapping[str, Any], field: str) -> None:
    """A label selector with `matchLabels` and `matchExpressions`."""
    check_labels(report, selector.get("matchLabels"), f"{field}.matchLabels")
    for position, expression in enumerate(selector.get("matchExpressions", ())):
        here = f"{field}.matchExpressions[{position}]"
        operator, values = expression.get("operator"), expression.get("values", ())
        if operator in {"In", "NotIn"} and not values:
            report.required(f"{here}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in {"Exists", "DoesNotExist"} and values:
            report.forbidden(
                f"{here}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            )
        elif operator not in {"In", "NotIn", "Exists", "DoesNotExist"}:
            report.invalid(f"{here}.operator", operator, "not a valid selector operator")
        check_qualified_name(report, f"{here}.key", expression.get("key", ""))
