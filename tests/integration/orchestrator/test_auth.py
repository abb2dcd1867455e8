"""Who may do what: every route, for every kind of caller that has no business there."""

import re
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute

from config_service.api.app import API_ROUTERS as CONFIG_ROUTERS
from config_service.api.health import router as config_health
from orchestrator.api import brake, health, provision, runs, teams
from tests.integration.orchestrator.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORG, TEAM = "acme", "sre"
#: What a path's placeholders stand for; any other for something that does not exist.
PARTS = {"org": ORG, "team": TEAM}
IDS = {"org_id": ORG, "team_node_id": TEAM}

OPEN = {"/livez", "/readyz", "/health", "/metrics"}
#: What each kind of caller is answered where a route is not open; a route that is in no table fails the test.
#: `others`: an org admin of another org; `self`: a team's own token.
ADMIN_OF_ORG = {"self": {403}, "others": {403}}
LISTS = {"self": {403}, "others": {200}}
TEAMS_OWN = {"self": {200, 202, 404, 409, 422, 503}, "others": {403}}
EXPECTED: dict[str, dict[str, set[int]]] = {
    "POST /api/v1/admin/provision/team": ADMIN_OF_ORG,
    "POST /api/v1/admin/deprovision/team": ADMIN_OF_ORG,
    "GET /api/v1/admin/provision/runs": LISTS,
    "GET /api/v1/admin/provision/runs/{run_id}": ADMIN_OF_ORG,
    "GET /api/v1/admin/provision/runs/{run_id}/events": ADMIN_OF_ORG,
    "GET /api/v1/admin/teams": LISTS,
    "GET /api/v1/admin/teams/{org}/{team}": ADMIN_OF_ORG,
    "PUT /api/v1/admin/teams/{org}/{team}": ADMIN_OF_ORG,
    "DELETE /api/v1/admin/teams/{org}/{team}": ADMIN_OF_ORG,
    "GET /api/v1/admin/teams/{org}/{team}/manifests": ADMIN_OF_ORG,
    "GET /api/v1/admin/teams/{org}/{team}/deployment": ADMIN_OF_ORG,
    "GET /api/v1/admin/teams/{org}/{team}/pipeline": ADMIN_OF_ORG,
    "POST /api/v1/admin/teams/{org}/{team}/pipeline/run": ADMIN_OF_ORG,
    "POST /api/v1/admin/teams/{org}/{team}/reconcile": ADMIN_OF_ORG,
    "POST /api/v1/admin/teams/{org}/{team}/suspend": ADMIN_OF_ORG,
    "POST /api/v1/admin/teams/{org}/{team}/resume": ADMIN_OF_ORG,
    "POST /api/v1/admin/teams/{org}/{team}/release": ADMIN_OF_ORG,
    "POST /api/v1/admin/agents/run": ADMIN_OF_ORG,
    "GET /api/v1/admin/brake": ADMIN_OF_ORG,
    "POST /api/v1/admin/brake/release": ADMIN_OF_ORG,
    "GET /api/v1/teams/me": TEAMS_OWN,
    "POST /api/v1/teams/me/pipeline/run": TEAMS_OWN,
}


def routes_of(*routers: Any) -> list[str]:
    return sorted(
        f"{method} {route.path}"
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    )


OURS = [
    route
    for route in routes_of(provision.router, runs.router, teams.router, brake.router, health.router)
    if route.partition(" ")[2] not in OPEN
]
THEIRS = [route for route in routes_of(*CONFIG_ROUTERS, config_health) if route.partition(" ")[2] not in OPEN]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tokens(shared_world: World) -> dict[str, str]:
    """One of each kind; the team has a run, so that there is something to be kept from."""
    made = await shared_world.provision(**IDS, slack_channel_ids=[], deployment_mode="shared")
    PARTS["run_id"] = made.json()["provisioning_run_id"]
    found = {"self": made.json()["team_token"]}
    for name, org in (("own", ORG), ("others", "another")):
        await shared_world.provision(
            org_id=org, team_node_id=f"{name}-team", slack_channel_ids=[], deployment_mode="shared"
        )
        path = f"/api/v1/admin/orgs/{org}/admin-tokens"
        found[name] = (await shared_world.http.post(path, json={"label": name})).json()["token"]
    return found


async def call(world: World, token: str | None, route: str, **fields: Any) -> httpx2.Response:
    method, _, path = route.partition(" ")
    body = {"message": "hello"} if path.endswith("agents/run") else {}
    body |= {} if method == "PUT" else IDS
    if path.endswith("{team}/release"):
        body = {"reason": "because"}
    content = {"json": body | fields} if method in {"POST", "PUT", "PATCH"} else {}
    async with world.caller(token) as caller:
        return await caller.request(method, _filled(path), **content)


def _filled(path: str) -> str:
    return re.sub(r"{(\w+)(:\w+)?}", lambda found: PARTS.get(found[1], "x"), path)


def is_problem(response: httpx2.Response, *statuses: int) -> bool:
    kind = response.headers["content-type"]
    return response.status_code in statuses and kind == "application/problem+json"


@pytest.mark.parametrize("route", [*OURS, *THEIRS])
@pytest.mark.parametrize("token", [None, "", "garbage", "acme.sre.garbage", "acme.garbage", "Bearer x"])
async def test_a_stranger_is_refused_everywhere(
    shared_world: World, tokens: dict[str, str], route: str, token: str | None
) -> None:
    response = await call(shared_world, token, route)

    assert tokens
    assert is_problem(response, 401), response.text
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header", ["Basic YWRtaW46YWRtaW4=", "Bearer", "bearer ", "the-admin-token-of-these-tests"]
)
async def test_only_a_bearer_token_counts(shared_world: World, header: str) -> None:
    async with shared_world.caller(None) as caller:
        response = await caller.get("/api/v1/admin/teams", headers={"Authorization": header})

    assert is_problem(response, 401)


@pytest.mark.parametrize("route", OURS)
@pytest.mark.parametrize("who", ["self", "others"])
async def test_each_route_says_no_to_those_whose_it_is_not(
    shared_world: World, tokens: dict[str, str], route: str, who: str
) -> None:
    assert route in EXPECTED, "a new route: say here who may call it"

    response = await call(shared_world, tokens[who], route)

    assert response.status_code in EXPECTED[route][who], response.text
    if response.status_code >= 400:
        assert is_problem(response, response.status_code)


@pytest.mark.parametrize("route", [route for route in THEIRS if "{org}" in route])
@pytest.mark.parametrize("who", ["self", "others"])
async def test_an_org_is_nobody_elses_in_the_config_service_either(
    shared_world: World, tokens: dict[str, str], route: str, who: str
) -> None:
    response = await call(shared_world, tokens[who], route)

    assert is_problem(response, 403), response.text


@pytest.mark.parametrize("path", ["/", *sorted(OPEN), "/openapi.json", "/docs"])
async def test_open_routes_tell_no_secret(shared_world: World, tokens: dict[str, str], path: str) -> None:
    async with shared_world.caller(None) as caller:
        text = (await caller.get(path)).text

    assert not any(token in text for token in [*tokens.values(), "the-admin-token-of-these-tests"])


async def test_an_org_admin_provisions_in_their_own_org(shared_world: World, tokens: dict[str, str]) -> None:
    async with shared_world.caller(tokens["own"]) as caller:
        body = {"org_id": ORG, "team_node_id": "by-its-admin"}
        made = await caller.post("/api/v1/admin/provision/team", json=body)
        taken = await caller.post("/api/v1/admin/deprovision/team", json=body)
        elsewhere = await caller.post(
            "/api/v1/admin/provision/team", json=body | {"org_id": "another", "dry_run": True}
        )

    assert (made.status_code, taken.status_code) == (200, 200), made.text
    assert made.json()["team_token"]
    assert is_problem(elsewhere, 403)
    run = await shared_world.run(made.json()["provisioning_run_id"])
    assert run["requested_by"].startswith(f"org_admin:{ORG}:")
    assert tokens["own"] not in str(run)


async def test_an_org_admins_lists_show_their_org_only(shared_world: World, tokens: dict[str, str]) -> None:
    async with shared_world.caller(tokens["others"]) as caller:
        for address in ("/api/v1/admin/teams", "/api/v1/admin/provision/runs"):
            items = (await caller.get(address)).json()["items"]
            assert {item["org_id"] for item in items} == {"another"}
            assert is_problem(await caller.get(f"{address}?org_id={ORG}"), 403)
            filtered = (await caller.get(f"{address}?org_id=another")).json()["items"]
            assert filtered == items


async def test_a_cursor_leads_nobody_out_of_their_org(shared_world: World, tokens: dict[str, str]) -> None:
    first = (await shared_world.http.get("/api/v1/admin/teams?limit=1")).json()
    assert first["items"][0]["org_id"] == ORG

    async with shared_world.caller(tokens["others"]) as caller:
        page = (await caller.get(f"/api/v1/admin/teams?cursor={first['next_cursor']}")).json()

    assert {item["org_id"] for item in page["items"]} == {"another"}


async def test_the_runtime_credential_of_a_pod_is_no_admins(shared_world: World) -> None:
    path = f"/api/v1/internal/teams/{ORG}/{TEAM}/tokens"
    token = (await shared_world.http.post(path, json={"purpose": "runtime"})).json()["token"]

    async with shared_world.caller(token) as caller:
        assert is_problem(await caller.get("/api/v1/admin/teams"), 403)
        assert is_problem(await caller.post(path, json={"purpose": "team"}), 403)


async def test_a_revoked_token_is_a_strangers(shared_world: World) -> None:
    ids = {"org_id": ORG, "team_node_id": "leaver", "slack_channel_ids": [], "deployment_mode": "shared"}
    token = (await shared_world.provision(**ids)).json()["team_token"]
    async with shared_world.caller(token) as caller:
        assert (await caller.get("/api/v1/teams/me")).status_code == 200

        await shared_world.deprovision(org_id=ORG, team_node_id="leaver")

        assert is_problem(await caller.get("/api/v1/teams/me"), 401)
