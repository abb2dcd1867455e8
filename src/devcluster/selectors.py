"""Label and field selectors, as query parameters and as fields of objects."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from devcluster.errors import BadRequest
from devcluster.objects import Object

Predicate = Callable[[Object], bool]

_TOKEN = re.compile(r"\s*(==|!=|=|!|,|\(|\)|[^\s=!,()]+)")
_OPERATORS = frozenset({"=", "==", "!=", "in", "notin"})


def matches_selector(labels: Mapping[str, str], selector: Mapping[str, Any]) -> bool:
    """Whether labels fit a LabelSelector object; an empty one fits everything."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    return all(
        _fits(labels, expression["key"], expression["operator"], expression.get("values", ()))
        for expression in selector.get("matchExpressions", ())
    )


def _fits(labels: Mapping[str, str], key: str, operator: str, values: Any) -> bool:
    if operator == "In":
        return key in labels and labels[key] in values
    if operator == "NotIn":
        return key not in labels or labels[key] not in values
    return (key in labels) == (operator == "Exists")


def parse_label_selector(text: str) -> Predicate | None:
    """A predicate for `a=b,c in (d,e),!f`; None if the text selects everything.

    Raises:
        BadRequest: the text is not a selector.
    """
    tokens = _tokens(text)
    if not tokens:
        return None
    requirements: list[tuple[str, str, frozenset[str]]] = []
    while tokens:
        requirements.append(_requirement(tokens))
        if not tokens:
            break
        separator = tokens.pop(0)
        if separator != ",":
            raise BadRequest(f"found '{separator}', expected: ',' or 'end of string'")
        if not tokens:
            raise BadRequest("found '', expected: identifier after ','")

    def matches(obj: Object) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(_fits(labels, key, operator, values) for key, operator, values in requirements)

    return matches


def _tokens(text: str) -> list[str]:
    return [match[1] for match in _TOKEN.finditer(text)]


def _requirement(tokens: list[str]) -> tuple[str, str, frozenset[str]]:
    first = tokens.pop(0)
    if first == "!":
        return _identifier(tokens), "DoesNotExist", frozenset()
    tokens.insert(0, first)
    key = _identifier(tokens)
    if not tokens or tokens[0] == ",":
        return key, "Exists", frozenset()
    operator = tokens.pop(0)
    if operator not in _OPERATORS:
        raise BadRequest(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
    if operator in {"in", "notin"}:
        return key, "In" if operator == "in" else "NotIn", _value_list(tokens)
    empty = not tokens or tokens[0] == ","
    value = "" if empty else _identifier(tokens)
    return key, "NotIn" if operator == "!=" else "In", frozenset({value})


def _identifier(tokens: list[str]) -> str:
    token = tokens.pop(0) if tokens else ""
    if token in {"", "=", "==", "!=", "!", ",", "(", ")"}:
        raise BadRequest(f"found '{token}', expected: identifier")
    return token


def _value_list(tokens: list[str]) -> frozenset[str]:
    opening = tokens.pop(0) if tokens else ""
    if opening != "(":
        raise BadRequest(f"found '{opening}', expected: '('")
    values: list[str] = []
    expects_value = True
    while tokens:
        token = tokens.pop(0)
        if token == ")":  # noqa: S105 - a token of the grammar
            return frozenset([*values, ""] if expects_value else values)
        if token == ",":  # noqa: S105 - a token of the grammar
            values += [""] if expects_value else []
            expects_value = True
        else:
            values.append(token)
            expects_value = False
    raise BadRequest("found '', expected: ',' or ')'")


#: Fields that can be selected, besides name and namespace, by kind.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "Event": ("involvedObject.kind", "involvedObject.name", "involvedObject.namespace", "involvedObject.uid",
              "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
              "reason",
              "reportingComponent", "source", "type"),
    "Job": ("status.successful",),
    "Namespace": ("status.phase",),
    "Node": ("spec.unschedulable",),
    "Pod": ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
            "status.phase", "status.podIP", "status.nominatedNodeName"),
    "ReplicaSet": ("status.replicas",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP", "spec.type"),
}  # fmt: skip


def parse_field_selector(text: str, kind: str) -> Predicate | None:
    """A predicate for `metadata.name=x,status.phase!=y`; None if the text selects everything.

    Raises:
        BadRequest: the text is not a selector, or the kind cannot be selected by the field.
    """
    requirements = []
    for term in filter(None, text.split(",")):
        match = re.fullmatch(r"([^=!]+)(!=|==|=)(.*)", term)
        if match is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{term}'")
        path, operator, value = match[1], match[2], match[3]
        if path not in {"metadata.name", "metadata.namespace"} and path not in _FIELDS.get(kind, ()):
            raise BadRequest(f"field label not supported: {path}")
        requirements.append((tuple(path.split(".")), operator != "!=", value))
    if not requirements:
        return None

    def matches(obj: Object) -> bool:
        return all((_field(obj, path) == value) is wanted for path, wanted, value in requirements)

    return matches


def _field(obj: Object, path: tuple[str, ...]) -> str:
    if path == ("source",):
        path = ("source", "component")
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
