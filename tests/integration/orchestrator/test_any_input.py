"""Never a 500, whatever a caller sends."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.api import health, provision, runs, teams
from tests.integration.orchestrator.world import SEED, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

CALLS = ["/api/v1/admin/provision/team", "/api/v1/admin/deprovision/team", "/api/v1/admin/agents/run"]
READS = sorted(
    route.path
    for router in (provision.router, runs.router, teams.router, health.router)
    for route in router.routes
    if isinstance(route, APIRoute)
    and "GET" in route.methods
    # Its 503 is an answer, whatever was asked: it tells of the moment.
    and route.path != "/readyz"
)
QUERY_NAMES = ["org_id", "team_node_id", "mode", "ready", "status", "cursor", "limit", "dry_run", "x"]

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["a", "C1", "0 2 * * *"])
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
FIELDS = [
    *("org_id", "team_node_id", "slack_channel_ids", "pipeline_schedule", "pipeline_time_zone"),
    *("deployment_mode", "dedicated", "protected", "restore_within", "idempotency_key"),
    *("delete_k8s_resources", "delete_config", "message", "context", "agent_name"),
]
DEDICATED = [
    *("replicas", "resources", "autoscaling", "node_selector", "tolerations", "isolation", "egress_cidrs"),
    *("sla", "image"),
]
#: Close to what is right: fields that there are, with values that may not be.
nearly_right = st.builds(
    lambda fields, dedicated, dry_run: SEED | {"dry_run": dry_run, "dedicated": dedicated} | fields,
    st.dictionaries(st.sampled_from(FIELDS), documents, max_size=3),
    st.dictionaries(st.sampled_from(DEDICATED), documents, max_size=3),
    st.booleans(),
)


def told(response: Any) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"


@few
@given(path=st.sampled_from(CALLS), body=documents | nearly_right)
async def test_any_json(shared_world: World, path: str, body: Any) -> None:
    # Surrogates and numbers that are not finite go out as Python writes them: as escapes, and as `NaN`.
    headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
    told(await shared_world.http.post(path, content=json.dumps(body), headers=headers))


@few
@given(
    path=st.sampled_from(CALLS), body=st.binary(max_size=200), kind=st.text(st.characters(codec="latin-1"))
)
async def test_any_bytes(shared_world: World, path: str, body: bytes, kind: str) -> None:
    for content_type in ("application/json", kind):
        headers = [(b"Content-Type", content_type.encode("latin-1"))]
        told(await shared_world.http.post(path, content=body, headers=headers))


@few
@given(
    path=st.sampled_from([path for path in READS if not path.endswith("/events")]),
    parts=st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=2),
    query=st.dictionaries(st.sampled_from(QUERY_NAMES), st.text(st.characters(codec="utf-8")), max_size=4),
)
async def test_any_question(shared_world: World, path: str, parts: list[str], query: dict[str, str]) -> None:
    filled = path
    for name, part in zip(("org", "team"), parts, strict=True):
        filled = filled.replace(f"{{{name}}}", quote(part, safe="") or "%20")
    filled = filled.replace("{run_id}", quote(parts[0], safe="") or "%20")
    told(await shared_world.http.get(filled, params=query))


@few
@given(
    prefer=st.text(st.characters(codec="latin-1")), key=st.text(st.characters(codec="latin-1"), max_size=140)
)
async def test_any_headers(shared_world: World, prefer: str, key: str) -> None:
    headers = [
        (b"Prefer", f"respond-async, {prefer}".encode("latin-1")),
        (b"Idempotency-Key", key.encode("latin-1")),
    ]
    body = {"org_id": "nobody", "team_node_id": "nowhere"}
    told(await shared_world.http.post("/api/v1/admin/deprovision/team", json=body, headers=headers))


async def test_a_team_that_somebody_deleted_in_the_config_service(shared_world: World) -> None:
    await shared_world.provision(
        org_id="half", team_node_id="gone", slack_channel_ids=[], deployment_mode="shared"
    )
    await shared_world.http.delete("/api/v1/internal/teams/half/gone")

    question = {"org_id": "half", "team_node_id": "gone", "message": "Are you there?"}
    answer = await shared_world.http.post("/api/v1/admin/agents/run", json=question)

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
