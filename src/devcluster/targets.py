"""From a path to what it means: a resource, an object, a part of an object."""

from dataclasses import dataclass

from devcluster.asgi import Request
from devcluster.kinds import ResourceType, by_path

_NAMESPACE_PARTS = frozenset({"finalize", "status"})
_CORE_PREFIX, _GROUP_PREFIX = "api", "apis"
_COLLECTION_VERBS = {"GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection"}
_OBJECT_VERBS = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a path names.

    Attributes:
        group: the API group; empty for the core group.
        version: the version of the group.
        plural: the resource as the path has it.
        resource_type: its type; None if it is not served.
        namespace: the namespace; None across namespaces or for what has none.
        name: the object; None for the collection.
        subresource: `status`, `scale`, `log`, `proxy`; None for the object itself.
        rest: the path behind the subresource.
    """

    group: str
    version: str
    plural: str
    resource_type: ResourceType | None
    namespace: str | None
    name: str | None
    subresource: str | None
    rest: str

    def verb(self, request: Request) -> str | None:
        """The verb that access rules know; None for a method that the path does not take."""
        if self.name is not None:
            verb = _OBJECT_VERBS.get(request.method)
            if verb is None and self.subresource == "proxy":
                return "create"
            return verb
        if request.method == "GET" and request.flag("watch"):
            return "watch"
        return _COLLECTION_VERBS.get(request.method)


def parse_path(path: str) -> Target | None:
    """What a path names; None for one outside of the resources."""
    parts = path.split("/")[1:]
    if parts and parts[-1] == "":
        parts.pop()
    if len(parts) > 2 and parts[0] == _CORE_PREFIX:  # noqa: PLR2004 - api, version, resource
        return _parse("", parts[1], parts[2:])
    if len(parts) > 3 and parts[0] == _GROUP_PREFIX:  # noqa: PLR2004 - apis, group, version, resource
        return _parse(parts[1], parts[2], parts[3:])
    return None


def _parse(group: str, version: str, parts: list[str]) -> Target:
    namespace = None
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in _NAMESPACE_PARTS:  # noqa: PLR2004 - namespaces, name, resource
        namespace, parts = parts[1], parts[2:]
    plural, *below = parts
    return Target(
        group=group,
        version=version,
        plural=plural,
        resource_type=by_path(group, version, plural),
        namespace=namespace,
        name=below[0] if below else None,
        subresource=below[1] if len(below) > 1 else None,
        rest="/".join(below[2:]),
    )
