"""The API server's way to pods and services: `…/services/{name}:{port}/proxy/{path}`."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

import httpx2

from devcluster.asgi import Answer, Receive, Scope, Send
from devcluster.controllers.services import target_port
from devcluster.errors import ApiError, BadRequest
from devcluster.metadata import has_condition, is_leaving
from devcluster.objects import Object
from devcluster.pods.probes import port_number
from devcluster.registry import Registry

#: Sought, not matched from the start: a prefix may hold the caller's token, which goes no further.
_PATH = re.compile(rb"/api/v1/namespaces/([^/]+)/(services|pods)/([^/]+)/proxy(/.*)?$")
_SCHEMES = ("http", "https")
_CONNECT_TIMEOUT_S = 5.0

#: Of one connection only, and so not passed on (RFC 9110, section 7.6.1).
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
#: The caller's credential is for the API server, which takes it off; the host is the pod.
_WITHHELD = _HOP_BY_HOP | {b"authorization", b"host"}


class Address(NamedTuple):
    """What `[scheme:]name[:port]` in a path says; an empty port is the only one there is."""

    scheme: str
    name: str
    port: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    namespace: str
    resource: str
    address: Address
    #: Behind `proxy`, percent-encoded as it came.
    path: bytes
    #: The whole path without what is before `/api`.
    uri: bytes


def parse_address(text: str) -> Address:
    """Read `name`, `name:port` or `scheme:name:port`.

    Raises:
        BadRequest: It is none of them.
    """
    match text.split(":"):
        case [name] if name:
            return Address("http", name, "")
        case [name, port] if name:
            return Address("http", name, port)
        case [scheme, name, port] if name and scheme in {*_SCHEMES, ""}:
            return Address(scheme or "http", name, port)
        case _:
            raise BadRequest(f"invalid service request {text!r}")


class ServiceProxy:
    """An ASGI application that passes requests on to ready pods, and streams back; a context manager."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._turns: dict[tuple[str, str], int] = {}
        self._http = httpx2.AsyncClient(
            verify=False,  # as the API server, which does not know the pods' certificates
            trust_env=False,
            timeout=httpx2.Timeout(None, connect=_CONNECT_TIMEOUT_S),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections to pods."""
        await self._http.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request whose path is one of a proxy."""
        try:
            route = _route(scope)
            target = self._target(route)
        except ApiError as error:
            await Answer.json(error.body(), error.status).send(send)
            return
        await _Exchange(self._http, scope, receive, send, forwarded=_forwarded(scope, route)).run(target)

    def _target(self, route: _Route) -> str:
        """The address of a program, with the path in it.

        Raises:
            ApiError: No such object, or nobody there to answer.
        """
        if route.resource == "pods":
            host, port = self._pod_address(route)
        else:
            host, port = self._service_address(route)
        return f"{route.address.scheme}://{host}:{port}{route.path.decode('ascii')}"

    def _pod_address(self, route: _Route) -> tuple[str, int]:
        pod = self._registry.get("Pod", route.namespace, route.address.name)
        host = (pod.get("status") or {}).get("podIP")
        if not host:
            raise BadRequest(f'address not allowed: pod "{route.address.name}" has none')
        declared = [port for each in pod["spec"]["containers"] for port in each.get("ports") or []]
        wanted: int | str = route.address.port or (declared[0]["containerPort"] if declared else 80)
        numbers = (port_number(each, wanted) for each in pod["spec"]["containers"])
        return host, next((number for number in numbers if number), 80)

    def _service_address(self, route: _Route) -> tuple[str, int]:
        namespace, name = route.namespace, route.address.name
        service = self._registry.get("Service", namespace, name)
        port = _service_port(service, route.address.port)
        selector = service["spec"].get("selector")
        pods = (
            [pod for pod in self._registry.list("Pod", namespace, selector) if _serves(pod)]
            if selector
            else []
        )
        if not pods:
            raise _unavailable(f'no endpoints available for service "{name}"')
        turn = self._turns.get((namespace, name), 0)
        self._turns[namespace, name] = turn + 1
        pod = pods[turn % len(pods)]
        return pod["status"]["podIP"], target_port(pod, port)


class _Exchange:
    """One request and its answer."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        forwarded: list[tuple[bytes, bytes]],
    ) -> None:
        self._forwarded = forwarded
        self._http = http
        self._scope = scope
        self._receive = receive
        self._send = send
        self._body_read = asyncio.Event()
        self._answering = False

    async def run(self, url: str) -> None:
        """Pass the request on; a caller who leaves ends it on both sides."""
        passing = asyncio.create_task(self._pass_on(url))
        leaving = asyncio.create_task(self._left())
        try:
            await asyncio.wait([passing, leaving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            passing.cancel()
            leaving.cancel()
            await asyncio.wait([passing, leaving])
        if not passing.cancelled():
            passing.result()

    async def _left(self) -> None:
        await self._body_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            continue

    async def _pass_on(self, url: str) -> None:
        headers = [(name, value) for name, value in self._scope["headers"] if name.lower() not in _WITHHELD]
        has_body = any(
            name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in self._scope["headers"]
        )
        if not has_body:
            self._body_read.set()
        query = self._scope.get("query_string", b"").decode("ascii")
        request = self._http.build_request(
            self._scope["method"],
            f"{url}?{query}" if query else url,
            headers=[*headers, *self._forwarded],
            content=self._body() if has_body else None,
        )
        try:
            answer = await self._http.send(request, stream=True)
            try:
                await self._answer(answer)
            finally:
                await answer.aclose()
        except httpx2.HTTPError as error:
            if self._answering:
                # The status is out already: all that is left is to break off.
                raise
            refusal = _unavailable(f"error trying to reach service: {str(error) or type(error).__name__}")
            await Answer.json(refusal.body(), refusal.status).send(self._send)

    async def _body(self) -> AsyncIterator[bytes]:
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise asyncio.CancelledError
            yield message.get("body", b"")
            if not message.get("more_body"):
                self._body_read.set()
                return

    async def _answer(self, answer: httpx2.Response) -> None:
        headers = [
            (name.lower(), value) for name, value in answer.headers.raw if name.lower() not in _HOP_BY_HOP
        ]
        self._answering = True
        await self._send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        async for piece in answer.aiter_raw():
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})


def _route(scope: Scope) -> _Route:
    raw = scope.get("raw_path") or scope["path"].encode()
    match = _PATH.search(raw.partition(b"?")[0])
    if match is None:
        raise BadRequest("not the path of a proxy")
    namespace, resource, address, path = match.groups()
    return _Route(
        namespace=namespace.decode(),
        resource=resource.decode(),
        address=parse_address(_unquoted(address)),
        path=path or b"/",
        uri=match[0],
    )


def _unquoted(part: bytes) -> str:
    # Some clients send the colons of `http:name:port` encoded.
    return re.sub("%3[Aa]", ":", part.decode())


def _service_port(service: Object, wanted: str) -> Object:
    ports: list[Object] = service["spec"].get("ports") or []
    name = service["metadata"]["name"]
    if not wanted and len(ports) == 1:
        return ports[0]
    for port in ports:
        if wanted and wanted in {str(port["port"]), port.get("name")}:
            return port
    if wanted.isdigit():
        raise _unavailable(f'no service port {wanted} found for service "{name}"')
    raise _unavailable(f'no endpoints available for service "{name}"')


def _serves(pod: Object) -> bool:
    return has_condition(pod, "Ready") and not is_leaving(pod)


def _unavailable(message: str) -> ApiError:
    return ApiError(message, status=503, reason="ServiceUnavailable")


def _forwarded(scope: Scope, route: _Route) -> list[tuple[bytes, bytes]]:
    """What the pod is told about the request that the API server got."""
    host = next((value for name, value in scope["headers"] if name.lower() == b"host"), b"")
    client = scope.get("client")
    pairs = [
        (b"x-forwarded-host", host),
        (b"x-forwarded-proto", scope.get("scheme", "http").encode()),
        (b"x-forwarded-uri", route.uri),
        (b"x-forwarded-for", client[0].encode() if client else b""),
    ]
    return [(name, value) for name, value in pairs if value]
