"""create, update, patch, delete and deletecollection, on objects and on their parts."""

from collections.abc import Callable, Mapping
from typing import Any

from devcluster.apply import apply, described
from devcluster.asgi import Answer, Request
from devcluster.bodies import decode_sent, parse_json, parse_object, parse_yaml, place, unsupported_media_type
from devcluster.decoding import Undecodable, decode_object
from devcluster.errors import ApiError, BadRequest, Cause, Invalid
from devcluster.kinds import EVENTS_V1, ResourceType, by_kind
from devcluster.managers import Writer
from devcluster.objects import Object, timestamp
from devcluster.patches import json_patch, merge_patch, strategic_merge
from devcluster.reads import representation_for, selected
from devcluster.registry import Deletion, Registry, check_version, named, not_found
from devcluster.representation import as_events_v1, from_events_v1
from devcluster.schema import schema_of
from devcluster.targets import Target
from devcluster.validation.configuration import check_event_v1

_POLICIES = ("Foreground", "Background", "Orphan")
_ORPHAN_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove "
    "them or set propagationPolicy=Orphan to suppress this warning"
)
_PATCH_TYPES = frozenset(
    {
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    }
)
_APPLY = "application/apply-patch+yaml"

Patch = Callable[[Object], Any]


def is_dry_run(request: Request) -> bool:
    """Whether nothing may be stored.

    Raises:
        Invalid: `dryRun` with another value than `All`.
    """
    text = request.query.get("dryRun", "")
    if text not in {"", "All"}:
        sentence = f'Unsupported value: "{text}": supported values: "All"'
        cause = Cause("FieldValueNotSupported", "dryRun", sentence)
        raise Invalid.of(group="meta.k8s.io", kind="PatchOptions", name="", causes=[cause])
    return text == "All"


def _writer(request: Request, operation: str, subresource: str | None = None) -> Writer:
    """Who writes: `fieldManager`, or else the first word of the User-Agent."""
    name = request.query.get("fieldManager") or request.headers.get("user-agent", "unknown").partition("/")[0]
    return Writer(name, operation, subresource)


def create(registry: Registry, target: Target, resource_type: ResourceType, request: Request) -> Answer:
    """POST on a collection."""
    shown = representation_for(registry, resource_type, request)
    obj, warnings = parse_object(request, target, resource_type)
    check = check_event_v1 if resource_type is EVENTS_V1 else None
    writer, dry_run = _writer(request, "Update"), is_dry_run(request)
    created = registry.insert(by_kind(resource_type.kind), obj, writer, dry_run=dry_run, check=check)
    return Answer.json(shown.one(created), 201, warnings=warnings)


def update(registry: Registry, target: Target, resource_type: ResourceType, request: Request) -> Answer:
    """PUT on an object, its status or a namespace's finalizers."""
    shown = representation_for(registry, resource_type, request)
    obj, warnings = parse_object(request, target, resource_type)
    live = registry.find(resource_type.kind, target.namespace, target.name or "")
    if live is None:
        raise not_found(resource_type, target.name or "")
    if target.subresource == "finalize":
        return Answer.json(shown.one(_finalize(registry, live, obj)))
    writer = _writer(request, "Update", target.subresource)
    replaced = registry.replace(by_kind(resource_type.kind), obj, writer, dry_run=is_dry_run(request))
    return Answer.json(shown.one(replaced), warnings=warnings)


def _finalize(registry: Registry, live: Object, wanted: Object) -> Object:
    kept = wanted.get("spec", {}).get("finalizers", [])
    name = live["metadata"]["name"]
    for finalizer in live["spec"].get("finalizers", ()):
        if finalizer not in kept:
            registry.remove_finalizer("Namespace", None, name, finalizer)
    return registry.find("Namespace", None, name) or wanted


def patch(registry: Registry, target: Target, resource_type: ResourceType, request: Request) -> Answer:
    """PATCH of every type."""
    if request.content_type == _APPLY and resource_type is not EVENTS_V1:
        return _apply(registry, target, resource_type, request)
    change = patch_of(request, resource_type)
    shown = representation_for(registry, resource_type, request)
    live = registry.find(resource_type.kind, target.namespace, target.name or "")
    if live is None:
        raise not_found(resource_type, target.name or "")
    is_event_v1 = resource_type is EVENTS_V1
    changed = change(as_events_v1(live) if is_event_v1 else live)
    obj, warnings = decode_sent(changed, resource_type, request)
    if is_event_v1:
        obj = from_events_v1(obj)
    place(obj, target, resource_type, request.method)
    writer = _writer(request, "Update", target.subresource)
    patched = registry.replace(by_kind(resource_type.kind), obj, writer, dry_run=is_dry_run(request))
    return Answer.json(shown.one(patched), warnings=warnings)


def patch_of(request: Request, resource_type: ResourceType) -> Patch:
    """What the body changes about an object.

    Raises:
        ApiError: an unknown type of patch, or a body that is none.
    """
    kind = request.content_type
    if kind not in _PATCH_TYPES:
        raise unsupported_media_type()
    body = parse_json(request.body, "error decoding patch")
    if kind == "application/json-patch+json":
        return lambda live: json_patch(live, body)
    if not isinstance(body, dict):
        raise BadRequest(
            "error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}"
        )
    if kind == "application/merge-patch+json":
        return lambda live: merge_patch(live, body)
    return lambda live: strategic_merge(live, body, schema_of(resource_type))


def _apply(registry: Registry, target: Target, resource_type: ResourceType, request: Request) -> Answer:
    """Server-side apply: creates what is missing."""
    if not request.query.get("fieldManager"):
        cause = Cause("FieldValueRequired", "fieldManager", "Required value: is required for apply patch")
        raise Invalid.of(group="meta.k8s.io", kind="PatchOptions", name="", causes=[cause])
    shown = representation_for(registry, resource_type, request)
    dry_run = is_dry_run(request)
    wanted = parse_yaml(request.body)
    if not isinstance(wanted, dict):
        raise BadRequest("error decoding YAML: not an object")
    if wanted.get("apiVersion") != resource_type.api_version or wanted.get("kind") != resource_type.kind:
        raise BadRequest(
            f"invalid object type: {wanted.get('apiVersion', '')}, Kind={wanted.get('kind', '')}"
        )
    place(wanted, target, resource_type, request.method)
    live = registry.find(resource_type.kind, target.namespace, target.name or "")
    if live is not None:
        check_version(resource_type, live, wanted["metadata"].get("resourceVersion"))
    elif target.subresource:
        raise not_found(resource_type, target.name or "")
    writer = _writer(request, "Apply", target.subresource)
    moment = timestamp(registry.now())
    merged = apply(resource_type, live, wanted, writer, force=request.flag("force"), moment=moment)
    try:
        obj, _ = decode_object(merged, schema_of(resource_type))
    except Undecodable as error:
        kind = f"{_group_version(resource_type)}, Kind={resource_type.kind}"
        raise ApiError(
            f"failed to convert new object ({described(resource_type, merged)}) to proper version: "
            f"unable to convert unstructured object to {kind}: {error}"
        ) from error
    if live is None:
        return Answer.json(shown.one(registry.insert(resource_type, obj, writer, dry_run=dry_run)), 201)
    return Answer.json(shown.one(registry.replace(resource_type, obj, writer, dry_run=dry_run)))


def _group_version(resource_type: ResourceType) -> str:
    return resource_type.api_version if resource_type.group else f"/{resource_type.version}"


def delete(registry: Registry, target: Target, resource_type: ResourceType, request: Request) -> Answer:
    """DELETE of one object."""
    deletion, warnings = _deletion(request, resource_type)
    name = target.name or ""
    key = (target.namespace if resource_type.namespaced else None, name)
    last, gone = registry.begin_delete(by_kind(resource_type.kind), key, deletion)
    if not gone or resource_type.returns_deleted:
        shown = representation_for(registry, resource_type, request)
        return Answer.json(shown.one(last), warnings=warnings)
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    status["details"] = named(resource_type, name) | {"uid": last["metadata"]["uid"]}
    return Answer.json(status, warnings=warnings)


def delete_collection(
    registry: Registry, target: Target, resource_type: ResourceType, request: Request
) -> Answer:
    """DELETE of everything that a selector fits."""
    deletion, _ = _deletion(request, resource_type)
    predicate = selected(resource_type, request)
    found = [
        obj
        for obj in registry.store.scan(resource_type.kind, target.namespace)
        if not predicate or predicate(obj)
    ]
    for obj in found:
        metadata = obj["metadata"]
        registry.begin_delete(
            by_kind(resource_type.kind), (metadata.get("namespace"), metadata["name"]), deletion
        )
    shown = representation_for(registry, resource_type, request)
    return Answer.json(shown.many(found, {"resourceVersion": str(registry.store.revision)}))


def _deletion(request: Request, resource_type: ResourceType) -> tuple[Deletion, tuple[str, ...]]:
    """How to delete, from the body or the query.

    Raises:
        Invalid: an unknown propagation policy.
        BadRequest: a body that is no DeleteOptions.
    """
    options: Mapping[str, Any] = {}
    if request.body:
        options = parse_yaml(request.body) or {}
        if not isinstance(options, dict):
            raise BadRequest("the object provided is unrecognized (must be of type DeleteOptions)")
    query = request.query
    policy = options.get("propagationPolicy") or query.get("propagationPolicy")
    if policy not in {None, *_POLICIES}:
        listed = ", ".join(f'"{item}"' for item in (*_POLICIES, "nil"))
        cause = Cause(
            "FieldValueNotSupported",
            "propagationPolicy",
            f'Unsupported value: "{policy}": supported values: {listed}',
        )
        raise Invalid.of(group="meta.k8s.io", kind="DeleteOptions", name="", causes=[cause])
    warnings: tuple[str, ...] = ()
    if policy is None and "orphanDependents" in options:
        policy = "Orphan" if options["orphanDependents"] else "Background"
    if policy is None and resource_type.kind == "Job":
        # The one kind that the API server orphans the pods of unless told otherwise.
        policy, warnings = "Orphan", (_ORPHAN_WARNING,)
    grace = options.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
    preconditions = options.get("preconditions") or {}
    deletion = Deletion(
        propagation=policy,
        grace_period_s=int(grace) if grace not in {None, ""} else None,
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        dry_run="All" in (options.get("dryRun") or ()) or is_dry_run(request),
    )
    return deletion, warnings


def scale(registry: Registry, target: Target, resource_type: ResourceType, request: Request) -> Answer:
    """GET, PUT and PATCH of the `scale` of a Deployment or ReplicaSet."""
    live = registry.find(resource_type.kind, target.namespace, target.name or "")
    if live is None:
        raise not_found(resource_type, target.name or "")
    current = _scale_of(live)
    if request.method == "GET":
        return Answer.json(current)
    if request.method == "PUT":
        wanted = parse_json(request.body, "the object provided is unrecognized (must be of type Scale)")
    elif request.content_type == _APPLY:
        wanted = merge_patch(current, parse_yaml(request.body))
    else:
        wanted = patch_of(request, resource_type)(current)
    check_version(resource_type, live, wanted.get("metadata", {}).get("resourceVersion"))
    replicas = wanted.get("spec", {}).get("replicas", 0)
    obj, _ = decode_sent({**live, "spec": {**live["spec"], "replicas": replicas}}, resource_type, request)
    writer = _writer(request, "Update", "scale")
    return Answer.json(_scale_of(registry.replace(resource_type, obj, writer, dry_run=is_dry_run(request))))


def _scale_of(obj: Object) -> Object:
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    selector = obj["spec"].get("selector", {})
    terms = [f"{key}={value}" for key, value in sorted(selector.get("matchLabels", {}).items())]
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": obj["spec"].get("replicas", 0)},
        "status": {"replicas": obj.get("status", {}).get("replicas", 0), "selector": ",".join(terms)},
    }
