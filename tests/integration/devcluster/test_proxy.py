import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from devcluster.proxy import ServiceProxy
from tests.integration.devcluster.cluster import NAMESPACE, Cluster, container, is_ready, pod, server

#: Answers a request with its own method, path, headers and body; `/slow` in two pieces.
ECHO = """
import http.server, json, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length).decode()
        said = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}
        said = json.dumps(said).encode()
        self.send_response(418)
        self.send_header("content-length", str(len(said)))
        self.send_header("x-pod", os.environ["POD_NAME"])
        self.end_headers()
        self.wfile.write(said)
    do_GET = do_POST = do_DELETE = answer
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer((os.environ["POD_IP"], 8000), Handler).serve_forever()
"""


def echo(name: str, app: str) -> dict[str, Any]:
    made = pod(name, server() | {"command": ["python", "-c", ECHO]})
    made["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": 8000}}
    made["metadata"]["labels"] = {"app": app}
    return made


@pytest.fixture
def service(node_only: Cluster) -> dict[str, Any]:
    return node_only.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {
                "selector": {"app": "web"},
                "ports": [{"name": "http", "port": 8000, "targetPort": "http"}],
            },
        }
    )


@pytest.fixture
async def api(node_only: Cluster, service: dict[str, Any]) -> AsyncIterator[httpx2.AsyncClient]:
    assert service["spec"]["selector"] == {"app": "web"}
    base = f"http://cluster/api/v1/namespaces/{NAMESPACE}"
    async with ServiceProxy(node_only.registry) as proxy:
        transport = httpx2.ASGITransport(app=proxy)
        async with httpx2.AsyncClient(transport=transport, base_url=base) as client:
            yield client


async def test_a_request_reaches_a_pod_unchanged_but_for_the_callers_credential(
    node_only: Cluster, api: httpx2.AsyncClient
) -> None:
    node_only.create(echo("one", "web"))
    await node_only.until("Pod", "one", is_ready)
    answer = await api.post(
        "/services/http:web:8000/proxy/a%2Fb/c?x=1&y=%20",
        content=b"hello",
        headers={"Authorization": "Bearer admin", "X-Team": "sre"},
    )
    assert answer.status_code == 418
    said = answer.json()
    assert (said["method"], said["path"], said["body"]) == ("POST", "/a%2Fb/c?x=1&y=%20", "hello")
    headers = {name.lower(): value for name, value in said["headers"].items()}
    assert "authorization" not in headers
    assert headers["x-team"] == "sre"
    assert headers["x-forwarded-host"] == "cluster"


async def test_a_token_in_the_path_goes_no_further(node_only: Cluster, api: httpx2.AsyncClient) -> None:
    node_only.create(echo("one", "web"))
    await node_only.until("Pod", "one", is_ready)
    path = f"/api/v1/namespaces/{NAMESPACE}/services/web:8000/proxy/health"
    answer = await api.get(f"http://cluster/as/s3cret{path}")
    assert answer.json()["path"] == "/health"
    assert "s3cret" not in answer.text


@pytest.mark.parametrize("address", ["services/web:http", "services/web", "pods/one:8000", "pods/one:http"])
async def test_ports_are_found_by_number_or_name(
    node_only: Cluster, api: httpx2.AsyncClient, address: str
) -> None:
    node_only.create(echo("one", "web"))
    await node_only.until("Pod", "one", is_ready)
    answer = await api.get(f"/{address}/proxy/health")
    assert answer.json()["path"] == "/health"


async def test_ready_pods_take_turns(node_only: Cluster, api: httpx2.AsyncClient) -> None:
    for name in ("one", "two"):
        node_only.create(echo(name, "web"))
    for name in ("one", "two"):
        await node_only.until("Pod", name, is_ready)
    answers = [await api.get("/services/web:8000/proxy/") for _ in range(4)]
    assert [each.headers["x-pod"] for each in answers] == ["one", "two", "one", "two"]


async def test_a_service_without_ready_pods_is_unavailable(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/services/web:8000/proxy/")
    assert answer.status_code == 503
    assert (answer.json()["reason"], answer.json()["message"]) == (
        "ServiceUnavailable",
        'no endpoints available for service "web"',
    )


async def test_what_is_not_there_is_said(api: httpx2.AsyncClient) -> None:
    assert (await api.get("/services/absent:8000/proxy/")).status_code == 404
    missing = await api.get("/services/web:99/proxy/")
    assert (missing.status_code, missing.json()["message"]) == (
        503,
        'no service port 99 found for service "web"',
    )


async def test_a_pod_that_refuses_is_unavailable(node_only: Cluster, api: httpx2.AsyncClient) -> None:
    idle = container("import signal; signal.pause()", ports=[{"name": "http", "containerPort": 8000}])
    node_only.create(pod("web", idle))
    await node_only.until("Pod", "web", is_ready)
    answer = await api.get("/services/web:8000/proxy/")
    assert answer.status_code == 503
    assert answer.json()["message"].startswith("error trying to reach service")


STREAM = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"first")
        self.wfile.flush()
        while True:
            try:
                self.connection.settimeout(5)
                if self.connection.recv(1) == b"":
                    break
            except OSError:
                break
        print("caller left", flush=True)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer((os.environ["POD_IP"], 8000), Handler).serve_forever()
"""


@pytest.mark.usefixtures("service")
async def test_answers_are_streamed_and_end_when_the_caller_leaves(node_only: Cluster) -> None:
    streaming = pod("web", server() | {"command": ["python", "-c", STREAM]})
    streaming["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": 8000}}
    node_only.create(streaming)
    await node_only.until("Pod", "web", is_ready)
    first, left = asyncio.Event(), asyncio.Event()
    got: list[bytes] = []

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message.get("body"):
            got.append(message["body"])
            first.set()

    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/api/v1/namespaces/{NAMESPACE}/services/web:8000/proxy/",
        "headers": [],
        "query_string": b"",
    }
    async with ServiceProxy(node_only.registry) as proxy:
        call = asyncio.create_task(proxy(scope, receive, send))
        await asyncio.wait_for(first.wait(), 10)
        assert got == [b"first"]
        left.set()
        await asyncio.wait_for(call, 10)
        async with asyncio.timeout(10):
            async for piece in node_only.node.logs.read(NAMESPACE, "web", None, follow=True):
                if b"caller left" in piece:
                    break
