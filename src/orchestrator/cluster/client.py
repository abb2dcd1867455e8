"""Apply, read, delete and list: the few verbs the product needs, over the connection that lightkube sets up.

lightkube brings kubeconfig, TLS and every way to authenticate; the verbs are our own because deletion with a `uid`
precondition, metadata-only answers and the body of a refusal are what this product stands on (ADR 0002).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Self

import httpx2
import msgspec
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ConfigError

from orchestrator.circuit import Circuit
from orchestrator.cluster.errors import (
    ClusterAway,
    ClusterError,
    Conflicted,
    Missing,
    error_of,
    error_of_status,
    refusal,
)
from orchestrator.cluster.kinds import KINDS
from orchestrator.concurrency import together
from orchestrator.domain.objects import FIELD_MANAGER, Manifest, Ref
from orchestrator.lease import must_be_held

encode = msgspec.json.encode
decode = msgspec.json.decode

#: Calls under way at once. A process makes some 1 000 a second at most, so this many places keep it busy up to an
#: answer time of 16 ms. More are no use: the pool looks at every idle connection before every call.
MAX_CALLS = 16
#: Objects a list answers at a time.
PAGE_SIZE = 500
#: Answers that speak for the whole API server.
_NOT_NOW = frozenset({429, 502, 503, 504})
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
_METADATA_LIST_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


@dataclass
class _Connections(ConnectionParams):
    """lightkube's parameters, and how many connections there are: as many stay open as may be in use."""

    limits: httpx2.Limits = field(
        default_factory=lambda: httpx2.Limits(max_connections=None, max_keepalive_connections=MAX_CALLS)
    )


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply came to: the object as the cluster now has it, and whether it is new."""

    object: Manifest
    created: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A whole list, and the version of the cluster that it shows."""

    objects: list[Manifest]
    version: str


class Cluster:
    """One API server, with one field manager.

    Args:
        http: a client with base URL and credentials.
        streams: another client for watches, since a call looks at every connection of its own one first.
        max_calls: calls under way at once, so that a slow API server never holds everything else up.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        *,
        streams: httpx2.AsyncClient | None = None,
        max_calls: int = MAX_CALLS,
    ) -> None:
        self._http = http
        self._streams = streams or http
        self._places = asyncio.Semaphore(max_calls)
        #: Whether the API server is asked at all.
        self.circuit = Circuit("cluster")
        self._on_applied: list[Callable[[Manifest], None]] = []
        self._on_deleted: list[Callable[[str], None]] = []

    def on_applied(self, listener: Callable[[Manifest], None]) -> None:
        """Have `listener` called with each object that was applied here, as the cluster now has it."""
        self._on_applied.append(listener)

    def on_deleted(self, listener: Callable[[str], None]) -> None:
        """Have `listener` called with the uid of each object that was deleted here."""
        self._on_deleted.append(listener)

    @classmethod
    def connect(cls, kubeconfig: str | None, *, timeout: timedelta) -> Self:
        """Connect as the kubeconfig says, or as the pod's own service account.

        Raises:
            lightkube.core.exceptions.ConfigError: there is neither.
        """
        config = (KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()).get()
        if config is None:
            raise ConfigError("the kubeconfig names no current context")
        connections = _Connections(timeout=httpx2.Timeout(timeout.total_seconds()), trust_env=False)
        return cls(AsyncClient(config, connections), streams=AsyncClient(config, connections))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        await self._streams.aclose()

    async def apply(
        self, manifest: Manifest, *, force: bool, dry_run: bool = False, manager: str = FIELD_MANAGER
    ) -> Applied:
        """Server-side apply.

        Args:
            manifest: the object as wanted; its namespace decides where it goes.
            force: take fields that another manager owns; only for objects known to be ours.
            dry_run: everything but the keeping.
            manager: who owns the fields from then on.

        Raises:
            Refused: the cluster will not take it.
            Conflicted: another manager owns a field and `force` was not given.
            Missing: its namespace does not exist.
            ClusterAway: no answer.
        """
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        if dry_run:
            params["dryRun"] = "All"
        response = await self._send(
            "PATCH",
            _path(Ref.of(manifest)),
            params=params,
            content=encode(manifest),
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
        obj: Manifest = decode(response.content)
        if not dry_run:
            for listener in self._on_applied:
                listener(obj)
        return Applied(obj, created=response.status_code == HTTPStatus.CREATED)

    async def get(self, ref: Ref, *, metadata_only: bool = False) -> Manifest | None:
        """The object, or `None` when it does not exist."""
        headers = {"Accept": _METADATA_ONLY} if metadata_only else {}
        try:
            response = await self._send("GET", _path(ref), headers=headers)
        except Missing:
            return None
        body: Manifest = decode(response.content)
        # A metadata-only answer calls itself PartialObjectMetadata.
        return body | {"kind": ref.kind}

    async def get_many(self, refs: Iterable[Ref]) -> dict[Ref, Manifest | None]:
        """The objects, each `None` when it does not exist; asked for side by side.

        Raises:
            ClusterForbade: we may not read one; the cluster's words name the right that is missing.
        """
        wanted = list(refs)
        return dict(zip(wanted, await together(self._get_or_told(ref) for ref in wanted), strict=True))

    async def _get_or_told(self, ref: Ref) -> Manifest | None:
        try:
            return await self.get(ref)
        except ClusterError as error:
            raise refusal(ref, error) from error

    async def ensure_namespace(self, name: str, *, dry_run: bool = False) -> None:
        """Have a namespace be there, where we may make one.

        Raises:
            Refused: we may not; the cluster's words name the right that is missing.
        """
        if await self.get(Ref("Namespace", "", name)) is not None:
            return
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        try:
            await self.create(namespace, dry_run=dry_run)
        except Conflicted:
            return

    async def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create an object that must not exist yet.

        Raises:
            Conflicted: it exists.
            Refused: the cluster will not take it.
        """
        ref = Ref.of(manifest)
        response = await self._send(
            "POST",
            KINDS[ref.kind].collection(ref.namespace),
            params={"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {}),
            json=manifest,
        )
        body: Manifest = decode(response.content)
        return body

    async def delete(self, ref: Ref, *, uid: str) -> None:
        """Delete exactly the object that was looked at; what it owns goes with it.

        Raises:
            Missing: it is gone already.
            Conflicted: another object has taken its name.
        """
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        await self._send("DELETE", _path(ref), json=options)
        for listener in self._on_deleted:
            listener(uid)

    async def list(self, kind: str, *, namespace: str = "", labels: Mapping[str, str]) -> list[Manifest]:
        """Every object of a kind that carries the labels; without a namespace: in all of them."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        return (await self.list_versioned(kind, namespace=namespace, selector=selector)).objects

    async def list_versioned(
        self, kind: str, *, namespace: str = "", selector: str, metadata_only: bool = False
    ) -> Listed:
        """Every object of a kind that a label selector selects, page by page, and the version to watch from.

        Raises:
            WatchExpired: it took so long that the first page's version is gone.
            Refused: we may not list there.
        """
        items: list[Manifest] = []
        params = {"labelSelector": selector, "limit": str(PAGE_SIZE)}
        headers = {"Accept": _METADATA_LIST_ONLY} if metadata_only else {}
        while True:
            path = KINDS[kind].collection(namespace)
            body = decode((await self._send("GET", path, params=params, headers=headers)).content)
            items += [item | {"kind": kind} for item in body.get("items", ())]
            token = body["metadata"].get("continue")
            if not token:
                return Listed(items, str(body["metadata"].get("resourceVersion", "")))
            params = params | {"continue": token}

    async def watch(
        self,
        kind: str,
        *,
        namespace: str,
        selector: str,
        version: str,
        quiet_s: float,
        watch_s: int,
        metadata_only: bool = False,
    ) -> AsyncIterator[tuple[str, Manifest]]:
        """What happens to objects from a version on: pairs of event type and object, bookmarks among them.

        Raises:
            WatchExpired: the version is too old.
            ClusterAway: the stream broke, or said nothing for `quiet_s`.
        """
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(watch_s),
            "labelSelector": selector,
        }
        headers = {"Accept": _METADATA_ONLY} if metadata_only else {}
        timeout = httpx2.Timeout(self._http.timeout.connect, read=quiet_s)
        try:
            path = KINDS[kind].collection(namespace)
            async with self._streams.stream(
                "GET", path, params=params, headers=headers, timeout=timeout
            ) as response:
                if response.status_code >= HTTPStatus.BAD_REQUEST:
                    await response.aread()
                    raise error_of(response)
                async for line in response.aiter_lines():
                    event = decode(line)
                    if event["type"] == "ERROR":
                        status = event["object"]
                        raise error_of_status(int(status.get("code", 500)), status)
                    yield event["type"], event["object"]
        except httpx2.TransportError as error:
            raise ClusterAway(type(error).__name__) from error

    async def through_service(
        self,
        service: Ref,
        port: int,
        path: str,
        *,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> httpx2.Response:
        """POST to a Service through the API server's proxy; the answer is the Service's, whatever its status.

        Raises:
            ClusterAway: the API server does not answer.
        """
        url = f"{_path(service)}:{port}/proxy{path}"
        try:
            return await self._http.post(url, json=body, headers=dict(headers), timeout=timeout_s)
        except httpx2.TransportError as error:
            raise ClusterAway(type(error).__name__) from error

    async def may(self, verb: str, kind: str, namespace: str) -> bool:
        """Whether we have a right; without a namespace: everywhere.

        Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
        """
        group, _, _version = KINDS[kind].api_version.rpartition("/")
        wanted = {"verb": verb, "group": group, "resource": KINDS[kind].plural, "namespace": namespace}
        response = await self._send(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            json={
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": wanted},
            },
        )
        return bool(decode(response.content)["status"]["allowed"])

    async def version(self) -> str:
        """The API server's version; the cheapest question there is."""
        return str((await self._send("GET", "/version")).json().get("gitVersion", ""))

    async def is_back(self) -> None:
        """Ask although the circuit is open; the one who looks whether the API server is there again.

        Raises:
            ClusterAway: it is not.
        """
        with contextlib.suppress(ClusterError):
            await self._ask("GET", "/version")

    async def _send(self, method: str, path: str, **arguments: Any) -> httpx2.Response:
        async with self._places:
            self.circuit.must_be_closed()
            if method != "GET":
                must_be_held()
            return await self._ask(method, path, **arguments)

    async def _ask(self, method: str, path: str, **arguments: Any) -> httpx2.Response:
        try:
            response = await self._http.request(method, path, **arguments)
        except httpx2.TransportError as error:
            self.circuit.failed(type(error).__name__)
            raise ClusterAway(type(error).__name__) from error
        if response.status_code < HTTPStatus.BAD_REQUEST:
            self.circuit.answered()
            return response
        problem = error_of(response)
        # What one object meets, a webhook that fails for instance, says nothing about the others.
        if isinstance(problem, ClusterAway) and response.status_code in _NOT_NOW:
            self.circuit.failed(problem.cause, retry_after_s=problem.retry_after_s)
        else:
            self.circuit.answered()
        raise problem


def _path(ref: Ref) -> str:
    return f"{KINDS[ref.kind].collection(ref.namespace)}/{ref.name}"
