"""The variables that a container sees: declared ones and nothing of the dev cluster's own."""

import base64
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from devcluster.objects import Object
from devcluster.quantity import parse

#: Finds a Secret or ConfigMap of the pod's namespace by kind and name.
Lookup = Callable[[str, str], Object | None]

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigError(Exception):
    """A container cannot be made as declared; the message is for people."""


def text_of(source: Object, name: str) -> str:
    """One key of a Secret or ConfigMap as text."""
    value: str = source["data"][name]
    if source["kind"] == "Secret":
        return base64.b64decode(value).decode(errors="surrogateescape")
    return value


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` as Kubernetes does: unknown names stay, `$$` is one dollar."""

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return _REFERENCE.sub(replacement, text)


def declared(container: Object, pod: Object, lookup: Lookup) -> dict[str, str]:
    """The variables of `envFrom` and `env`, in Kubernetes' order: later wins, and may refer to earlier ones.

    Args:
        container: The container of the pod.
        pod: The pod; its `status.podIP` must be set.
        lookup: Finds Secrets and ConfigMaps.

    Raises:
        ConfigError: What is referred to does not exist.
    """
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        variables |= _all_of(source, lookup)
    for entry in container.get("env") or []:
        value = _value_of(entry, container, pod, lookup, variables)
        if value is not None:
            variables[entry["name"]] = value
    return variables


def _all_of(source: Object, lookup: Lookup) -> dict[str, str]:
    kind, reference = (
        ("Secret", source["secretRef"]) if "secretRef" in source else ("ConfigMap", source["configMapRef"])
    )
    found = lookup(kind, reference["name"])
    if found is None:
        if reference.get("optional"):
            return {}
        raise ConfigError(f'{kind.lower()} "{reference["name"]}" not found')
    prefix = source.get("prefix", "")
    return {f"{prefix}{name}": text_of(found, name) for name in found.get("data") or {}}


def _value_of(
    entry: Object,
    container: Object,
    pod: Object,
    lookup: Lookup,
    variables: Mapping[str, str],
) -> str | None:
    source = entry.get("valueFrom")
    if source is None:
        return expand(entry.get("value") or "", variables)
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return resource_value(source["resourceFieldRef"], pod, container)
    kind, reference = (
        ("Secret", source["secretKeyRef"])
        if "secretKeyRef" in source
        else ("ConfigMap", source["configMapKeyRef"])
    )
    found = lookup(kind, reference["name"])
    if found is not None and reference["key"] in (found.get("data") or {}):
        return text_of(found, reference["key"])
    if reference.get("optional"):
        return None
    if found is None:
        raise ConfigError(f'{kind.lower()} "{reference["name"]}" not found')
    raise ConfigError(
        f"couldn't find key {reference['key']} in {kind} {pod['metadata']['namespace']}/{reference['name']}"
    )


def field_value(pod: Object, path: str) -> str:
    """One field of the pod, as the downward API gives it.

    Raises:
        ConfigError: The downward API does not know the field.
    """
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript:
        return str((meta.get(subscript[1]) or {}).get(subscript[2], ""))
    fields: dict[str, Any] = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "metadata.labels": _as_lines(meta.get("labels") or {}),
        "metadata.annotations": _as_lines(meta.get("annotations") or {}),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": status.get("podIP", ""),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": status.get("hostIP", ""),
    }
    if path not in fields:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(fields[path])


def _as_lines(pairs: Mapping[str, str]) -> str:
    def quoted(text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'

    return "\n".join(f"{name}={quoted(pairs[name])}" for name in sorted(pairs))


def resource_value(reference: Object, pod: Object, container: Object | None) -> str:
    """A request or limit of a container, in units of the divisor, rounded up as the downward API does.

    Args:
        reference: A `ResourceFieldSelector`.
        pod: The pod.
        container: The container itself; `None` when the reference has to name one.
    """
    if reference.get("containerName"):
        containers: Iterable[Object] = pod["spec"]["containers"]
        container = next(
            (each for each in containers if each["name"] == reference["containerName"]), container
        )
    bound, _, resource = reference["resource"].partition(".")
    quantity = (((container or {}).get("resources") or {}).get(bound) or {}).get(resource, "0")
    divisor = reference.get("divisor") or "1"
    return str(math.ceil(parse(str(quantity)) / parse("1" if divisor == "0" else str(divisor))))
