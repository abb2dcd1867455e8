"""The API server of the dev cluster: an ASGI app that answers as Kubernetes 1.36 does."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from devcluster import access, discovery, reads, writes
from devcluster.asgi import Answer, ASGIApp, Receive, Request, Scope, Send, Streaming, read_request
from devcluster.bodies import PROTOBUF, parse_json
from devcluster.errors import ApiError, BadRequest, MethodNotAllowed, NotFound
from devcluster.kinds import ResourceType
from devcluster.objects import Object
from devcluster.registry import Registry
from devcluster.targets import Target, parse_path

log = logging.getLogger(__name__)

#: How long to wait for a refusal before the answer begins.
_FIRST_PIECE_S = 0.5
#: Before a token in a path.
TOKEN_PREFIX = "/as/"  # noqa: S105 - a path, not a secret
_HEALTH_PATHS = frozenset({"/healthz", "/livez", "/readyz"})
_REVIEWS = {
    "selfsubjectaccessreviews": "SelfSubjectAccessReview",
    "selfsubjectrulesreviews": "SelfSubjectRulesReview",
}


class PodLogs(Protocol):
    """Reads what containers print."""

    def read(
        self,
        namespace: str,
        pod: str,
        container: str | None,
        *,
        tail_lines: int | None,
        previous: bool,
        follow: bool,
    ) -> AsyncIterator[bytes]:
        """The output of one container; errors come before the first piece.

        Raises:
            ApiError: no such pod or container, or no output yet.
        """


def create_app(
    registry: Registry,
    *,
    tokens: Mapping[str, str],
    pod_logs: PodLogs | None,
    service_proxy: ASGIApp | None,
) -> ASGIApp:
    """The API server.

    Args:
        registry: the objects.
        tokens: user names by bearer token; each of them may everything.
        pod_logs: answers `pods/{name}/log`; None for a cluster without a node.
        service_proxy: answers `services/{name}:{port}/proxy/{path}`; it finds namespace, service, port and
            path in `scope["path_params"]`.
    """
    return _ApiServer(registry, tokens, pod_logs, service_proxy)


class _ApiServer:
    def __init__(
        self,
        registry: Registry,
        tokens: Mapping[str, str],
        pod_logs: PodLogs | None,
        service_proxy: ASGIApp | None,
    ) -> None:
        self._registry = registry
        self._tokens = tokens
        self._pod_logs = pod_logs
        self._service_proxy = service_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        scope = _with_token_of_path(scope)
        target = parse_path(scope["path"])
        if scope["type"] == "http" and target and target.subresource == "proxy" and self._service_proxy:
            await self._proxy(target, scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        answer: Answer | Streaming
        try:
            request = await read_request(scope, receive)
            answer = await self._answer(request, target, scope)
        except ApiError as error:
            answer = Answer.json(error.body(), error.status)
        except Exception:
            log.exception("unhandled_error %s %s", scope["method"], scope["path"])
            answer = Answer.json(
                ApiError("Internal error occurred", reason="InternalError", details={}).body(), 500
            )
        if isinstance(answer, Answer):
            await answer.send(send)
        else:
            await answer.run(receive, send)

    async def _answer(self, request: Request, target: Target | None, scope: Scope) -> Answer | Streaming:
        user = access.authorize(request, target, self._tokens)
        if target is None:
            return _non_resource(request, scope)
        if target.group == discovery.REVIEW_GROUP:
            _, may_everything = access.authenticate(request, self._tokens)
            return _review(request, target, user, may_everything=may_everything)
        resource_type = target.resource_type
        if resource_type is None or (target.namespace and not resource_type.namespaced):
            raise NotFound("the server could not find the requested resource", details={})
        if target.subresource is not None:
            return await self._subresource(request, target, resource_type)
        return self._resource(request, target, resource_type)

    def _resource(self, request: Request, target: Target, resource_type: ResourceType) -> Answer | Streaming:
        """A collection or an object."""
        verb = target.verb(request)
        if verb == "get":
            if request.flag("watch"):
                return reads.watch_objects(self._registry, target, resource_type, request)
            return reads.get_object(self._registry, target, resource_type, request)
        if verb == "list":
            return reads.list_objects(self._registry, target, resource_type, request)
        if verb == "watch":
            return reads.watch_objects(self._registry, target, resource_type, request)
        needs_namespace = resource_type.namespaced and target.namespace is None
        change = _CHANGES.get(verb or "")
        if change is None or (needs_namespace and verb != "deletecollection"):
            raise _not_allowed()
        return change(self._registry, target, resource_type, request)

    async def _subresource(
        self, request: Request, target: Target, resource_type: ResourceType
    ) -> Answer | Streaming:
        """A part of an object."""
        part = target.subresource or ""
        if part not in resource_type.subresources:
            raise NotFound("the server could not find the requested resource", details={})
        if part == "scale":
            return writes.scale(self._registry, target, resource_type, request)
        if part == "log":
            return await self._log(request, target)
        if part == "proxy":
            raise ApiError("the service proxy is not available", status=503, reason="ServiceUnavailable")
        if request.method == "GET":
            return reads.get_object(self._registry, target, resource_type, request)
        if request.method == "PUT":
            return writes.update(self._registry, target, resource_type, request)
        if request.method == "PATCH" and part == "status":
            return writes.patch(self._registry, target, resource_type, request)
        raise _not_allowed()

    async def _log(self, request: Request, target: Target) -> Answer | Streaming:
        """The output of a container."""
        if request.method != "GET":
            raise _not_allowed()
        if self._pod_logs is None:
            raise ApiError("there is no node", status=503, reason="ServiceUnavailable")
        tail = request.query.get("tailLines")
        if tail and not tail.isdigit():
            raise BadRequest(f'strconv.ParseInt: parsing "{tail}": invalid syntax')
        pieces = self._pod_logs.read(
            target.namespace or "",
            target.name or "",
            request.query.get("container") or None,
            tail_lines=int(tail) if tail else None,
            previous=request.flag("previous"),
            follow=request.flag("follow"),
        )
        first = asyncio.ensure_future(anext(pieces, None))
        # A refusal comes at once, output of a followed container perhaps much later.
        await asyncio.wait({first}, timeout=_FIRST_PIECE_S)
        if first.done() and (error := first.exception()) is not None:
            raise error

        async def run(receive: Receive, send: Send) -> None:
            await _stream_pieces(first, pieces, receive, send)

        return Streaming(run)

    async def _proxy(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(scope["method"], scope["path"], {}, headers, b"")
        try:
            access.authorize(request, target, self._tokens)
        except ApiError as error:
            await Answer.json(error.body(), error.status).send(send)
            return
        assert self._service_proxy is not None
        await self._service_proxy(_proxy_scope(scope, target), receive, send)


_CHANGES = {
    "create": writes.create,
    "update": writes.update,
    "patch": writes.patch,
    "delete": writes.delete,
    "deletecollection": writes.delete_collection,
}


def _with_token_of_path(scope: Scope) -> Scope:
    """A path that begins with `/as/{token}` stands for the token and the rest.

    kubectl sends no tokens without TLS; over the loopback interface a path that nobody else knows is as good.
    """
    path = scope["path"]
    if not path.startswith(TOKEN_PREFIX):
        return scope
    token, _, rest = path[len(TOKEN_PREFIX) :].partition("/")
    headers = [item for item in scope["headers"] if item[0] != b"authorization"]
    raw_path = scope.get("raw_path", path.encode()).split(b"/", 3)[3:]
    bare = {"path": f"/{rest}", "raw_path": b"/" + b"".join(raw_path)}
    return {**scope, **bare, "headers": [*headers, (b"authorization", f"Bearer {token}".encode())]}


def _not_allowed() -> ApiError:
    return MethodNotAllowed("the server does not allow this method on the requested resource", details={})


def _non_resource(request: Request, scope: Scope) -> Answer:
    """Health, version, discovery and the OpenAPI document."""
    path = request.path.rstrip("/") or "/"
    if path in _HEALTH_PATHS:
        return Answer.text("ok")
    found = _document(path, scope)
    if found is not None:
        return Answer.json(found)
    if path.startswith(("/api/", "/apis/")):
        raise NotFound("the server could not find the requested resource", details={})
    return Answer.text("404 page not found\n", 404)


def _document(path: str, scope: Scope) -> Any:  # noqa: PLR0911 - a table of paths, one answer each
    parts = path.strip("/").split("/")
    match parts:
        case ["version"]:
            return discovery.VERSION
        case ["api"]:
            host, port = scope.get("server") or ("127.0.0.1", 0)
            return discovery.api_versions(f"{host}:{port}")
        case ["apis"]:
            return discovery.api_groups()
        case ["api", version]:
            return discovery.resources("", version)
        case ["apis", group]:
            return discovery.api_group(group)
        case ["apis", group, version]:
            return discovery.resources(group, version)
        case ["openapi", "v3"]:
            return discovery.openapi_paths()
        case ["openapi", "v3", "api", version]:
            return discovery.openapi_document("", version)
        case ["openapi", "v3", "apis", group, version]:
            return discovery.openapi_document(group, version)
    return None


def _review(request: Request, target: Target, user: str, *, may_everything: bool) -> Answer:
    """What the caller may: everything or nothing."""
    kind = _REVIEWS.get(target.plural)
    if kind is None or target.name is not None:
        raise NotFound("the server could not find the requested resource", details={})
    if request.method != "POST":
        raise _not_allowed()
    # Whatever the question, a caller's answer is the same; so it need not be read where it cannot be.
    unreadable = request.content_type == PROTOBUF
    sent = (
        {}
        if unreadable
        else parse_json(request.body, f"the object provided is unrecognized (must be of type {kind})")
    )
    api_version = f"{target.group}/{target.version}"
    writer = {"manager": user, "operation": "Update", "apiVersion": api_version}
    review: Object = {"kind": kind, "apiVersion": api_version, "metadata": {"managedFields": [writer]}}
    review["spec"] = sent.get("spec", {})
    if kind == "SelfSubjectAccessReview":
        review["status"] = {"allowed": may_everything}
    elif not may_everything:
        review["status"] = {"resourceRules": [], "nonResourceRules": [], "incomplete": False}
    else:
        everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        rules = {
            "resourceRules": [everything],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }
        review["status"] = rules | {"incomplete": False}
    return Answer.json(review, 201)


def _proxy_scope(scope: Scope, target: Target) -> Scope:
    """The scope of a proxied call: `name:port` or `scheme:name:port` taken apart."""
    named = (target.name or "").split(":")
    if len(named) > 2:  # noqa: PLR2004 - scheme, name, port
        named = named[1:]
    service, port = named[0], named[1] if len(named) > 1 else ""
    params = {"namespace": target.namespace, "service": service, "port": port, "path": f"/{target.rest}"}
    return {**scope, "path_params": params}


async def _stream_pieces(
    first: "asyncio.Future[bytes | None]", pieces: AsyncIterator[bytes], receive: Receive, send: Send
) -> None:
    """Send output as it comes, until it ends or the client leaves."""
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    left = asyncio.ensure_future(receive())
    pending: asyncio.Future[bytes | None] = first
    try:
        while True:
            either: set[asyncio.Future[Any]] = {left, pending}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if left.done() or (piece := pending.result()) is None:
                break
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            pending = asyncio.ensure_future(anext(pieces, None))
    finally:
        for task in (left, pending):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    await send({"type": "http.response.body", "body": b""})


async def _live(receive: Receive, send: Send) -> None:
    """The lifespan protocol: nothing to start, nothing to stop."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
