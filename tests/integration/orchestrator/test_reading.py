"""Contract 3: what can be read, and teams as resources."""

from typing import Any

import pytest
import pytest_asyncio
import yaml

from orchestrator.domain.objects import Ref
from tests.integration.orchestrator.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEAMS = "/api/v1/admin/teams"
RUNS = "/api/v1/admin/provision/runs"
SPEC = {"slack_channel_ids": ["CREAD"], "pipeline_schedule": "0 2 * * *", "deployment_mode": "dedicated"}


async def get(world: World, path: str) -> Any:
    response = await world.http.get(path)
    assert response.status_code == 200, response.text
    return response.json()


async def pages(world: World, path: str, limit: int) -> list[list[dict[str, Any]]]:
    """Every page of a list, followed by its cursors."""
    found, cursor = [], ""
    while True:
        page = await get(world, f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}")
        assert set(page) == {"items", "next_cursor"}
        found.append(page["items"])
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def several(shared_world: World) -> list[tuple[str, str]]:
    """Teams of two orgs, shared and dedicated, in the order of their ids."""
    made = [("list-a", "B"), ("list-a", "a"), ("list-a", "b"), ("list-b", "a.1"), ("list-b", "a_1")]
    for org, team in made:
        mode = "dedicated" if team in {"b", "a_1"} else "shared"
        response = await shared_world.provision(
            org_id=org, team_node_id=team, slack_channel_ids=[], pipeline_schedule=..., deployment_mode=mode
        )
        assert response.status_code == 200, response.text
    return made


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
async def test_cursors_lead_through_all_teams_once(
    shared_world: World, several: list[tuple[str, str]], limit: int
) -> None:
    for org in ("list-a", "list-b"):
        found = await pages(shared_world, f"{TEAMS}?org_id={org}", limit)
        assert all(len(page) <= limit for page in found)
        listed = [(item["org_id"], item["team_node_id"]) for page in found for item in page]
        assert listed == [key for key in several if key[0] == org]


@pytest.mark.parametrize("limit", [1, 2, 500])
async def test_cursors_lead_through_all_runs_the_newest_first(
    shared_world: World, several: list[tuple[str, str]], limit: int
) -> None:
    found = await pages(shared_world, f"{RUNS}?org_id=list-a", limit)

    runs = [run for page in found for run in page]
    assert [(run["org_id"], run["team_node_id"]) for run in runs] == several[2::-1]
    assert [run["created_at"] for run in runs] == sorted((run["created_at"] for run in runs), reverse=True)


async def test_lists_are_filtered(shared_world: World, several: list[tuple[str, str]]) -> None:
    async def teams(query: str) -> set[str]:
        page = await get(shared_world, f"{TEAMS}?org_id=list-a&{query}")
        return {item["team_node_id"] for item in page["items"]}

    assert several
    assert await teams("mode=dedicated") == {"b"}
    assert await teams("mode=shared") == {"B", "a"}
    assert await teams("ready=true") == {"B", "a"}
    assert await teams("ready=false") == {"b"}
    assert await teams("ready=false&mode=shared") == set()
    of_one = (await get(shared_world, f"{RUNS}?org_id=list-a&team_node_id=B&status=succeeded"))["items"]
    assert [run["team_node_id"] for run in of_one] == ["B"]
    assert (await get(shared_world, f"{RUNS}?org_id=list-a&status=failed"))["items"] == []
    assert (await get(shared_world, f"{TEAMS}?org_id=nobody"))["items"] == []


async def test_a_team_tells_what_is_wanted_and_what_is(shared_world: World) -> None:
    path = f"{TEAMS}/read/whole"
    made = (await shared_world.http.put(path, json=SPEC | {"slack_channel_ids": ["CWHOLE"]})).json()

    team = await get(shared_world, path)

    assert (team["org_id"], team["team_node_id"], team["team_id"]) == ("read", "whole", "whole")
    assert team["spec"]["pipeline_schedule"] == "0 2 * * *"
    assert team["generation"] == team["observed_generation"] == 1
    assert {item["kind"] for item in team["resources"]} >= {"CronJob", "Deployment", "Service", "Secret"}
    assert team["last_run"]["provisioning_run_id"] == made["provisioning_run_id"]
    assert made["team_token"] not in str(team)


async def test_put_replaces_the_whole_wanted_state(shared_world: World) -> None:
    path = f"{TEAMS}/read/put"
    first = await shared_world.http.put(path, json=SPEC | {"dedicated": {"replicas": 2, "image": "agent:2"}})
    assert first.status_code == 200, first.text

    await shared_world.http.put(path, json={"deployment_mode": "dedicated", "dedicated": {"replicas": 3}})
    spec = (await get(shared_world, path))["spec"]
    assert (spec["slack_channel_ids"], spec["pipeline_schedule"]) == ([], None)
    assert (spec["dedicated"]["replicas"], spec["dedicated"]["image"]) == (3, None)
    assert (await shared_world.lookup("CREAD"))["found"] is False

    await shared_world.http.put(path, json={})
    assert (await get(shared_world, path))["spec"]["deployment_mode"] == "shared"
    labels = {"incidentfox.io/org-id": "read", "incidentfox.io/team-node-id": "put"}
    assert await shared_world.objects(**labels) == {}


async def test_put_can_be_tried_and_repeated(shared_world: World) -> None:
    path = f"{TEAMS}/read/tried"
    tried = await shared_world.http.put(path, json={"dry_run": True, "pipeline_schedule": "@daily"})
    assert tried.json()["status"] == "planned"
    assert (await shared_world.http.get(path)).status_code == 404

    body, headers = {"pipeline_schedule": "@daily"}, {"Idempotency-Key": "put-1"}
    first = await shared_world.http.put(path, json=body, headers=headers)
    again = await shared_world.http.put(path, json=body, headers=headers)
    other = await shared_world.http.put(path, json={}, headers=headers)
    assert first.json()["provisioning_run_id"] == again.json()["provisioning_run_id"]
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "idempotency_key")


async def test_delete_takes_the_team_away(shared_world: World) -> None:
    path = f"{TEAMS}/read/deleted"
    await shared_world.http.put(path, json=SPEC | {"slack_channel_ids": []})

    tried = (await shared_world.http.delete(f"{path}?dry_run=true")).json()
    gone = await shared_world.http.delete(f"{path}?delete_config=true")

    kinds = {"CronJob", "Deployment", "Service"}
    assert {item["kind"] for item in tried["deleted"]} >= kinds
    assert gone.status_code == 200, gone.text
    assert {item["kind"] for item in gone.json()["deleted"]} >= kinds
    assert (await shared_world.http.get(path)).status_code == 404
    assert await shared_world.config("deleted", "read") is None
    again = await shared_world.http.delete(path)
    assert (again.status_code, again.json()["deleted"]) == (200, [])
    assert {item["kind"] for item in again.json()["not_found"]} >= kinds


@pytest.mark.parametrize("tail", ["", "/manifests", "/deployment", "/pipeline"])
async def test_a_team_that_nobody_knows_is_404(shared_world: World, tail: str) -> None:
    response = await shared_world.http.get(f"{TEAMS}/read/unknown{tail}")

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


async def test_manifests_are_yaml_without_a_secret_value(shared_world: World) -> None:
    path = f"{TEAMS}/read/manifests"
    await shared_world.http.put(path, json=SPEC | {"slack_channel_ids": []})

    response = await shared_world.http.get(f"{path}/manifests")

    assert "yaml" in response.headers["content-type"]
    manifests = list(yaml.safe_load_all(response.text))
    refs = {Ref.of(manifest) for manifest in manifests}
    labels = {"incidentfox.io/org-id": "read", "incidentfox.io/team-node-id": "manifests"}
    standing = await shared_world.objects(**labels)
    assert refs == set(standing)
    (secret,) = [obj for ref, obj in standing.items() if ref.kind == "Secret"]
    assert secret["data"]["token"] not in response.text
    assert all(not any((manifest.get("data") or {}).values()) for manifest in manifests)


async def test_the_deployment_tells_what_runs_now(shared_world: World) -> None:
    path = f"{TEAMS}/read/deployment"
    await shared_world.http.put(path, json={"deployment_mode": "dedicated"})
    name = "agent-dedicated-read-deployment"

    before = await get(shared_world, f"{path}/deployment")
    await shared_world.make_available(name)
    after = await get(shared_world, f"{path}/deployment")

    assert (before["name"], before["exists"], before["available"], before["ready_replicas"]) == (
        *(name, True, False),
        0,
    )
    assert (after["available"], after["replicas"], after["ready_replicas"]) == (True, 1, 1)
    assert after["conditions"][0]["type"] == "Available"
    assert (await shared_world.http.get(f"{path}/pipeline")).status_code == 404


async def test_the_pipeline_tells_when_it_runs_next(shared_world: World) -> None:
    path = f"{TEAMS}/read/pipeline"
    await shared_world.http.put(
        path, json={"pipeline_schedule": "30 5 * * *", "pipeline_time_zone": "Asia/Tokyo"}
    )

    pipeline = await get(shared_world, f"{path}/pipeline")

    assert (pipeline["name"], pipeline["namespace"]) == ("ai-pipeline-read-pipeline", shared_world.namespace)
    assert (pipeline["schedule"], pipeline["time_zone"]) == ("30 5 * * *", "Asia/Tokyo")
    assert pipeline["next_time"].endswith("20:30:00+00:00")  # half past five in Tokyo
    assert (pipeline["suspended"], pipeline["active"], pipeline["last_schedule_time"]) == (False, [], None)
    assert (await shared_world.http.get(f"{path}/deployment")).status_code == 404


async def test_a_pipeline_that_never_runs_has_no_next_time(shared_world: World) -> None:
    path = f"{TEAMS}/read/never"
    await shared_world.http.put(path, json={"pipeline_schedule": "0 2 31 2 *"})

    assert (await get(shared_world, f"{path}/pipeline"))["next_time"] is None


async def test_a_team_reads_and_runs_its_own(shared_world: World) -> None:
    body = {"pipeline_schedule": "@daily"}
    token = (await shared_world.http.put(f"{TEAMS}/read/self", json=body)).json()["team_token"]

    async with shared_world.caller(token) as caller:
        own = (await caller.get("/api/v1/teams/me")).json()
        run = await caller.post("/api/v1/teams/me/pipeline/run")

    assert (own["org_id"], own["team_node_id"]) == ("read", "self")
    assert run.status_code == 202, run.text
    job = run.json()["job"]
    assert job["name"].startswith("ai-pipeline-read-self-")
    assert await shared_world.exists("Job", job["name"])


async def test_looking_again_is_taken_at_once(shared_world: World) -> None:
    path = f"{TEAMS}/read/again"
    await shared_world.http.put(path, json={})

    response = await shared_world.http.post(f"{path}/reconcile")

    assert response.status_code == 202
    assert response.json()["team_node_id"] == "again"


async def test_the_process_tells_how_it_is(shared_world: World) -> None:
    async with shared_world.caller(None) as caller:
        for path in ("/livez", "/health"):
            assert (await caller.get(path)).json() == {"status": "ok"}
        ready = await caller.get("/readyz")
        metrics = await caller.get("/metrics")
        document = await caller.get("/openapi.json")
        docs = await caller.get("/docs")

    assert ready.status_code == 200
    checks = {"database": "ok", "cluster": "ok", "config_service": "ok", "brake": "ok"}
    assert ready.json()["checks"] == checks
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "# TYPE" in metrics.text
    assert document.json()["openapi"].startswith("3.")
    assert {"/api/v1/admin/provision/team", "/api/v1/admin/teams/{org}/{team}"} <= set(
        document.json()["paths"]
    )
    assert docs.headers["content-type"].startswith("text/html")


async def test_what_does_not_exist_is_a_problem_too(shared_world: World) -> None:
    missing = await shared_world.http.get("/api/v1/admin/nothing")
    wrong_verb = await shared_world.http.delete("/api/v1/admin/provision/team")

    assert (missing.status_code, wrong_verb.status_code) == (404, 405)
    assert wrong_verb.headers["allow"] == "POST"
    for response in (missing, wrong_verb):
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
