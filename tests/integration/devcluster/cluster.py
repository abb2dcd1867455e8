"""What the tests of the dev cluster's node and controllers share: waiting for a state, and small programs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devcluster.metadata import has_condition
from devcluster.node import Node
from devcluster.registry import Registry

NAMESPACE = "incidentfox"

#: Answers every request on port 8000 of its own address with what its environment says.
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (self.path + " " + os.environ.get("WORD", "")).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-pod", os.environ.get("POD_NAME", ""))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer((os.environ["POD_IP"], 8000), Handler).serve_forever()
"""
#: Runs until it is told to end.
SLEEPER = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0)); signal.pause()"


@dataclass(frozen=True)
class Cluster:
    registry: Registry
    node: Node

    async def until(self, kind: str, name: str, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until the object is there and something holds of it."""
        async with asyncio.timeout(20):
            async for event in self.registry.watch([kind]):
                live = self.registry.find(kind, NAMESPACE, event.object["metadata"]["name"])
                if event.object["metadata"]["name"] == name and live is not None and holds(live):
                    return live
        raise AssertionError("a watch never ends by itself")

    async def until_gone(self, kind: str, name: str, namespace: str | None = NAMESPACE) -> None:
        async with asyncio.timeout(20):
            if self.registry.find(kind, namespace, name) is None:
                return
            async for _ in self.registry.watch([kind]):
                if self.registry.find(kind, namespace, name) is None:
                    return

    async def until_all(
        self, kind: str, holds: Callable[[list[dict[str, Any]]], object]
    ) -> list[dict[str, Any]]:
        """Wait until something holds of all objects of a kind."""
        async with asyncio.timeout(20):
            if holds(found := self.registry.list(kind, NAMESPACE)):
                return found
            async for _ in self.registry.watch([kind, "Namespace"]):
                if holds(found := self.registry.list(kind, NAMESPACE)):
                    return found
        raise AssertionError("a watch never ends by itself")

    def create(self, obj: dict[str, Any]) -> dict[str, Any]:
        return self.registry.create(obj, manager="test")

    async def log(self, pod: str, **options: Any) -> str:
        pieces = [piece async for piece in self.node.logs.read(NAMESPACE, pod, None, **options)]
        return b"".join(pieces).decode()


def give_namespace(registry: Registry) -> None:
    """The namespace with what a pod needs, as the controllers would make it."""
    account = {"name": "default", "namespace": NAMESPACE}
    registry.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, manager="test"
    )
    registry.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}, manager="test")


def container(program: str, **fields: Any) -> dict[str, Any]:
    return {"name": "agent", "image": "agent:1", "command": ["python", "-c", program], **fields}


def server(**fields: Any) -> dict[str, Any]:
    env = [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        *fields.pop("env", []),
    ]
    readiness = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 10}
    ports = [{"name": "http", "containerPort": 8000}]
    return container(SERVER, env=env, ports=ports, readinessProbe=readiness, **fields)


def pod(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": {"containers": list(containers), "terminationGracePeriodSeconds": 5, **spec},
    }


def is_ready(obj: dict[str, Any]) -> bool:
    return has_condition(obj, "Ready")


def is_in_phase(*phases: str) -> Callable[[dict[str, Any]], bool]:
    return lambda obj: (obj.get("status") or {}).get("phase") in phases


def waits_for(reason: str) -> Callable[[dict[str, Any]], bool]:
    def holds(obj: dict[str, Any]) -> bool:
        statuses = (obj.get("status") or {}).get("containerStatuses") or []
        return any(each["state"].get("waiting", {}).get("reason") == reason for each in statuses)

    return holds


def has_restarted(obj: dict[str, Any], times: int = 1) -> bool:
    statuses = (obj.get("status") or {}).get("containerStatuses") or []
    return any(each["restartCount"] >= times and "running" in each["state"] for each in statuses)


def container_status(obj: dict[str, Any]) -> dict[str, Any]:
    (status,) = obj["status"]["containerStatuses"]
    return status
