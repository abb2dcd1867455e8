"""What clients ask before they ask for anything: versions, groups, resources, the OpenAPI document."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from devcluster.kinds import ALL_VERBS, EVENTS_V1, RESOURCE_TYPES, ResourceType
from devcluster.schema import FieldType, schema_of

MINOR = 36
VERSION: dict[str, str] = {
    "major": "1",
    "minor": str(MINOR),
    "emulationMajor": "1",
    "emulationMinor": str(MINOR),
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": str(MINOR - 1),
    "gitVersion": f"v1.{MINOR}.0+devcluster",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "gc",
    "platform": "linux/amd64",
}

#: Resources without stored objects.
_REVIEWS = ("SelfSubjectAccessReview", "SelfSubjectRulesReview")
REVIEW_GROUP = "authorization.k8s.io"

_SUBRESOURCE_VERBS = {
    "finalize": ["update"],
    "log": ["get"],
    "proxy": ["create", "delete", "get", "patch", "update"],
    "scale": ["get", "patch", "update"],
    "status": ["get", "patch", "update"],
}
#: As real servers answer them; other kinds get a hash of their name.
_STORAGE_HASHES = {"CronJob": "sd5LIXh4Fjs=", "Job": "mudhfqk/qZY="}


def api_versions(server: str) -> dict[str, Any]:
    """`GET /api`."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def _groups() -> dict[str, str]:
    groups = {item.group: item.version for item in (*RESOURCE_TYPES, EVENTS_V1) if item.group}
    return groups | {REVIEW_GROUP: "v1"}


def _group(name: str, version: str) -> dict[str, Any]:
    entry = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [entry], "preferredVersion": entry}


def api_groups() -> dict[str, Any]:
    """`GET /apis`."""
    groups = [_group(name, version) for name, version in _groups().items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(name: str) -> dict[str, Any] | None:
    """`GET /apis/{group}`."""
    version = _groups().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(name, version) if version else None


def resources(group: str, version: str) -> dict[str, Any] | None:
    """`GET /api/v1` and `GET /apis/{group}/{version}`."""
    listed: list[dict[str, Any]] = []
    for item in sorted((*RESOURCE_TYPES, EVENTS_V1), key=lambda item: item.plural):
        if (item.group, item.version) == (group, version):
            listed += _entries(item)
    if (group, version) == (REVIEW_GROUP, "v1"):
        for kind in _REVIEWS:
            entry = {"name": f"{kind.lower()}s", "singularName": kind.lower(), "namespaced": False}
            listed.append(entry | {"kind": kind, "verbs": ["create"]})
    if not listed:
        return None
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _entries(item: ResourceType) -> Iterator[dict[str, Any]]:
    entry: dict[str, Any] = {
        "name": item.plural,
        "singularName": item.singular,
        "namespaced": item.namespaced,
    }
    entry |= {"kind": item.kind, "verbs": list(ALL_VERBS)}
    if item.short_names:
        entry["shortNames"] = list(item.short_names)
    if item.in_all:
        entry["categories"] = ["all"]
    default_hash = base64.b64encode(hashlib.sha256(item.resource.encode()).digest()[:8]).decode()
    entry["storageVersionHash"] = _STORAGE_HASHES.get(item.kind, default_hash)
    yield entry
    for part in item.subresources:
        below: dict[str, Any] = {
            "name": f"{item.plural}/{part}",
            "singularName": "",
            "namespaced": item.namespaced,
        }
        if part == "scale":
            below |= {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        else:
            below["kind"] = item.kind
        yield below | {"verbs": _SUBRESOURCE_VERBS[part]}


def openapi_paths() -> dict[str, Any]:
    """`GET /openapi/v3`: where the document of each group is."""
    paths = {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"}}
    for name, version in _groups().items():
        paths[f"apis/{name}/{version}"] = {"serverRelativeURL": f"/openapi/v3/apis/{name}/{version}"}
    return {"paths": paths}


def openapi_document(group: str, version: str) -> dict[str, Any]:
    """The OpenAPI document of one group: its types and kinds; enough for `kubectl apply` and `explain`."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for item in (*RESOURCE_TYPES, EVENTS_V1):
        if (item.group, item.version) != (group, version):
            continue
        field_type = schema_of(item)
        name = _collect(field_type, schemas)
        gvk = {"group": item.group, "kind": item.kind, "version": item.version}
        schemas[name]["x-kubernetes-group-version-kind"] = [gvk]
        inside = "/namespaces/{namespace}" if item.namespaced else ""
        path = f"{item.prefix}{inside}/{item.plural}/{{name}}"
        # kubectl looks here whether the server validates fields and takes dryRun.
        names = ("dryRun", "fieldManager", "fieldValidation", "force")
        parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
        paths[path] = {"patch": {"x-kubernetes-group-version-kind": gvk, "parameters": parameters}}
    info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _collect(field_type: FieldType, schemas: dict[str, Any]) -> str:
    """Add a structure and all that it refers to; its name in the document."""
    name = f"io.k8s.{field_type.name}"
    if name in schemas:
        return name
    schemas[name] = {"type": "object"}
    fields = {field: _schema(inner, schemas) for field, inner in field_type.fields.items()}
    schemas[name]["properties"] = fields
    return name


_OPENAPI_TYPES = {"int": "integer", "bool": "boolean", "float": "number"}


def _schema(field_type: FieldType, schemas: dict[str, Any]) -> dict[str, Any]:
    if field_type.kind == "struct":
        return {"$ref": f"#/components/schemas/{_collect(field_type, schemas)}"}
    if field_type.kind == "any":
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if field_type.kind == "intstr":
        return {"x-kubernetes-int-or-string": True}
    if field_type.item is not None:
        inner = _schema(field_type.item, schemas)
        if field_type.kind == "map":
            return {"type": "object", "additionalProperties": inner}
        listed: dict[str, Any] = {"type": "array", "items": inner}
        if field_type.keys:
            listed |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(field_type.keys)}
            listed |= {
                "x-kubernetes-patch-merge-key": field_type.keys[0],
                "x-kubernetes-patch-strategy": "merge",
            }
        return listed
    return {"type": _OPENAPI_TYPES.get(field_type.kind, "string")}
