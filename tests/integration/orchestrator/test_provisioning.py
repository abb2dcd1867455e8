"""Contract 1, sentence by sentence."""

import asyncio
import base64

import pytest

from tests.integration.orchestrator.world import SEED, World

CRONJOB = "ai-pipeline-extend-platform-sre"
AGENT = "agent-dedicated-extend-platform-sre"


async def test_the_seeds_example_makes_the_seeds_objects(world: World) -> None:
    response = await world.provision()

    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["status"] == "succeeded"
    assert (answer["org_id"], answer["team_node_id"], answer["team_id"]) == (
        "extend",
        "platform-sre",
        "platform-sre",
    )
    assert answer["deployment_mode"] == "dedicated"
    assert answer["pipeline_cronjob"] == {
        "name": CRONJOB,
        "namespace": world.namespace,
        "schedule": "0 2 * * *",
        "time_zone": "UTC",
    }
    assert answer["dedicated_deployment"] == {
        "name": AGENT,
        "namespace": world.namespace,
        "replicas": 1,
        "service_url": f"http://{AGENT}.{world.namespace}.svc.cluster.local:8000",
    }
    assert answer["error"] is None
    for kind, name in (("CronJob", CRONJOB), ("Deployment", AGENT), ("Service", AGENT)):
        assert await world.exists(kind, name)
        assert {"kind": kind, "name": name, "namespace": world.namespace, "action": "created"} in answer[
            "resources"
        ]
    assert all(step["status"] == "succeeded" and step["duration_ms"] >= 0 for step in answer["steps"])
    assert "team_config" in {step["name"] for step in answer["steps"]}


async def test_the_answer_that_makes_the_token_is_the_only_one_that_has_it(world: World) -> None:
    token = (await world.provision()).json()["team_token"]
    again = (await world.provision()).json()

    assert token.startswith("extend.platform-sre.")
    assert again["team_token"] is None
    who = (await world.who(token)).json()
    assert (who["kind"], who["org_id"], who["team_node_id"]) == ("team", "extend", "platform-sre")
    run = await world.run(again["provisioning_run_id"])
    assert token not in str(run)


async def test_pods_carry_a_credential_of_their_own(world: World) -> None:
    token = (await world.provision()).json()["team_token"]

    secret = await world.get("Secret", "team-runtime-extend-platform-sre")
    assert secret is not None
    runtime = base64.b64decode(secret["data"]["token"]).decode()
    assert runtime != token
    assert (await world.who(runtime)).json()["purpose"] == "runtime"
    config = await world.config()
    assert config is not None
    assert sorted(item["purpose"] for item in config["tokens"]) == ["runtime", "team"]


async def test_channels_are_routed_to_the_dedicated_agent(world: World) -> None:
    await world.provision()

    assert await world.lookup("C12345") == {
        "found": True,
        "org_id": "extend",
        "team_node_id": "platform-sre",
        "deployment_mode": "dedicated",
        "agent_url": f"http://{AGENT}.{world.namespace}.svc.cluster.local:8000",
        "suspended": False,
    }
    config = await world.config()
    assert config is not None
    assert config["config"]["agent"]["dedicated_service_url"] == (
        f"http://{AGENT}.{world.namespace}.svc.cluster.local:8000"
    )


async def test_a_shared_team_without_a_schedule_has_no_objects(world: World) -> None:
    response = await world.provision(deployment_mode=..., pipeline_schedule=...)

    answer = response.json()
    assert response.status_code == 200
    assert (answer["deployment_mode"], answer["pipeline_cronjob"], answer["dedicated_deployment"]) == (
        "shared",
        None,
        None,
    )
    assert await world.objects() == {}
    assert (await world.lookup("C12345"))["agent_url"] == "http://shared-agent.test:8000"


async def test_a_field_left_out_keeps_its_value(world: World) -> None:
    await world.provision(
        dedicated={"replicas": 3, "node_selector": {"disk": "ssd"}}, pipeline_time_zone="Europe/Berlin"
    )

    answer = (
        await world.provision(
            slack_channel_ids=..., pipeline_schedule=..., deployment_mode=..., dedicated={"replicas": 4}
        )
    ).json()

    assert answer["pipeline_cronjob"]["schedule"] == "0 2 * * *"
    assert answer["pipeline_cronjob"]["time_zone"] == "Europe/Berlin"
    assert answer["dedicated_deployment"]["replicas"] == 4
    assert (await world.lookup("C12345"))["found"] is True
    deployment = await world.get("Deployment", AGENT)
    assert deployment is not None
    assert deployment["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}


async def test_null_clears_a_field(world: World) -> None:
    await world.provision(dedicated={"node_selector": {"disk": "ssd"}})

    response = await world.provision(
        pipeline_schedule=None, slack_channel_ids=None, dedicated={"node_selector": None}
    )

    assert response.status_code == 200, response.text
    assert response.json()["pipeline_cronjob"] is None
    assert not await world.exists("CronJob", CRONJOB)
    assert (await world.lookup("C12345"))["found"] is False
    deployment = await world.get("Deployment", AGENT)
    assert deployment is not None
    assert not deployment["spec"]["template"]["spec"].get("nodeSelector")


async def test_switching_to_shared_removes_what_dedicated_mode_made(world: World) -> None:
    await world.provision(pipeline_schedule=...)

    response = await world.provision(pipeline_schedule=..., deployment_mode="shared")

    assert response.status_code == 200, response.text
    assert await world.objects() == {}
    assert {item["action"] for item in response.json()["resources"]} == {"deleted"}
    lookup = await world.lookup("C12345")
    assert (lookup["deployment_mode"], lookup["agent_url"]) == ("shared", "http://shared-agent.test:8000")


async def test_moving_to_dedicated_keeps_the_shared_agent_until_the_other_is_available(world: World) -> None:
    await world.provision(deployment_mode="shared")

    response = await world.provision(prefer="wait=1")

    assert response.status_code == 202
    assert response.headers["Location"].endswith(response.json()["provisioning_run_id"])
    assert (await world.lookup("C12345"))["agent_url"] == "http://shared-agent.test:8000"
    assert "available" in (await world.run(response.json()["provisioning_run_id"]))["waiting_for"]
    await world.make_available(AGENT)
    run = await world.run_ended(response.json()["provisioning_run_id"])
    assert run["status"] == "succeeded"
    assert {item["action"] for item in run["resources"] if item["kind"] == "Deployment"} == {"created"}
    assert (await world.lookup("C12345"))["agent_url"].startswith(f"http://{AGENT}.")


async def test_a_channel_of_another_team_is_refused_and_nothing_is_kept(world: World) -> None:
    await world.provision()

    response = await world.provision(team_node_id="other", slack_channel_ids=["C99", "C12345"])

    assert response.status_code == 409
    problem = response.json()
    assert problem["type"].endswith("slack_channel_already_mapped")
    assert "C12345" in problem["detail"]
    assert "extend/platform-sre" in problem["detail"]
    assert problem["errors"][0]["field"] == "slack_channel_ids"
    assert await world.config("other") is None
    assert (await world.lookup("C99"))["found"] is False
    assert (await world.http.get("/api/v1/admin/teams/extend/other")).status_code == 404


async def test_a_channel_mapped_by_hand_in_the_config_service_counts_too(world: World) -> None:
    body = {"slack_channel_ids": ["C7"], "mode": "shared", "dedicated_service_url": None}
    await world.http.put("/api/v1/internal/teams/byhand/team", json=body)

    response = await world.provision(slack_channel_ids=["C7"])

    assert response.status_code == 409
    assert response.json()["type"].endswith("slack_channel_already_mapped")


async def test_dry_run_says_what_would_happen_and_changes_nothing(world: World) -> None:
    response = await world.provision(dry_run=True)

    plan = response.json()
    assert response.status_code == 200
    assert plan["status"] == "planned"
    assert {(item["kind"], item["name"], item["action"]) for item in plan["plan"]} >= {
        ("CronJob", CRONJOB, "create"),
        ("Deployment", AGENT, "create"),
        ("Service", AGENT, "create"),
    }
    assert await world.objects() == {}
    assert await world.config() is None
    assert (await world.http.get("/api/v1/admin/provision/runs")).json()["items"] == []


async def test_dry_run_of_a_change_names_each_path(world: World) -> None:
    await world.provision(dedicated={"node_selector": {"disk": "ssd"}})

    same = (await world.provision(dry_run=True)).json()["plan"]
    changed = (await world.provision(dry_run=True, dedicated={"replicas": 2, "node_selector": None})).json()[
        "plan"
    ]
    gone = (await world.provision(dry_run=True, pipeline_schedule=None)).json()["plan"]

    assert {item["action"] for item in same} == {"unchanged"}
    deployment = next(item for item in changed if item["kind"] == "Deployment")
    assert deployment["action"] == "update"
    assert {"path": "spec.replicas", "from": 1, "to": 2} in deployment["changes"]
    assert any("nodeSelector" in change["path"] and change["to"] is None for change in deployment["changes"])
    assert ("CronJob", "delete") in {(item["kind"], item["action"]) for item in gone}
    assert ("PodDisruptionBudget", "create") in {(item["kind"], item["action"]) for item in changed}


async def test_a_dry_run_never_shows_a_secrets_value(world: World) -> None:
    await world.provision()
    secret = await world.get("Secret", "team-runtime-extend-platform-sre")
    assert secret is not None

    answer = await world.provision(dry_run=True)

    assert secret["data"]["token"] not in answer.text
    assert base64.b64decode(secret["data"]["token"]).decode() not in answer.text


async def test_what_the_cluster_would_refuse_is_422_in_its_own_words(world: World) -> None:
    await world.cluster.ensure_namespace(world.namespace)
    await world.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none", "namespace": world.namespace},
            "spec": {"hard": {"count/cronjobs.batch": "0"}},
        },
        force=True,
    )

    response = await world.provision()

    assert response.status_code in {403, 422}
    assert "exceeded quota" in response.json()["detail"]
    assert await world.config() is None
    assert await world.objects() == {}
    assert (await world.http.get("/api/v1/admin/provision/runs")).json()["items"] == []


async def test_a_refusal_at_the_apply_puts_everything_back(world: World) -> None:
    await world.provision(team_node_id="first")  # this shape is now known to be taken
    await world.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none", "namespace": world.namespace},
            "spec": {"hard": {"count/deployments.apps": "1"}},
        },
        force=True,
    )

    response = await world.provision(slack_channel_ids=["C2"])

    assert response.status_code in {403, 422}, response.text
    problem = response.json()
    assert "exceeded quota" in problem["detail"]
    assert (await world.run(problem["provisioning_run_id"]))["status"] == "failed"
    assert await world.objects(**{"incidentfox.io/team-node-id": "platform-sre"}) == {}
    assert await world.config() is None
    assert (await world.lookup("C2"))["found"] is False


async def test_a_refused_change_goes_back_to_the_last_good_state(world: World) -> None:
    await world.provision(pipeline_schedule=...)
    await world.provision(team_node_id="second", slack_channel_ids=["C2"])
    await world.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none", "namespace": world.namespace},
            "spec": {"hard": {"count/cronjobs.batch": "1"}},
        },
        force=True,
    )

    response = await world.provision(dedicated={"replicas": 2})

    assert response.status_code in {403, 422}
    team = (await world.http.get("/api/v1/admin/teams/extend/platform-sre")).json()
    assert team["spec"]["pipeline_schedule"] is None
    deployment = await world.get("Deployment", AGENT)
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 1


async def test_an_object_that_is_not_ours_is_left_untouched(world: World) -> None:
    await world.cluster.ensure_namespace(world.namespace)
    foreign = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": AGENT, "namespace": world.namespace, "labels": {"app": "somebody-elses"}},
    }
    before = await world.cluster.create(foreign)

    response = await world.provision()

    assert response.status_code == 409
    assert response.json()["type"].endswith("resource_owned_by_another")
    after = await world.get("ServiceAccount", AGENT)
    assert after is not None
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert await world.config() is None


@pytest.mark.parametrize("place", ["body", "header"])
async def test_the_same_idempotency_key_answers_the_first_run(world: World, place: str) -> None:
    async def call(**fields: object) -> object:
        if place == "body":
            return await world.provision(idempotency_key="k1", **fields)
        body = SEED | fields
        return await world.http.post(
            "/api/v1/admin/provision/team", json=body, headers={"Idempotency-Key": "k1"}
        )

    first = await call()
    again = await call()
    other = await call(slack_channel_ids=["C2"])

    assert first.json()["provisioning_run_id"] == again.json()["provisioning_run_id"]
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "idempotency_key"


async def test_a_failed_run_frees_its_idempotency_key(world: World) -> None:
    await world.provision(team_node_id="first", slack_channel_ids=[])
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": world.namespace},
        "spec": {"hard": {"count/deployments.apps": "1"}},
    }
    await world.cluster.apply(quota, force=True)
    failed = await world.provision(idempotency_key="k1")
    await world.cluster.apply(quota | {"spec": {"hard": {"count/deployments.apps": "5"}}}, force=True)

    again = await world.provision(idempotency_key="k1")

    assert failed.status_code in {403, 422}
    assert again.status_code == 200, again.text


async def test_respond_async_does_not_wait(world: World) -> None:
    response = await world.provision(prefer="respond-async")

    assert response.status_code == 202
    run = await world.run_ended(response.json()["provisioning_run_id"])
    assert run["status"] == "succeeded"
    assert (await world.http.get(response.headers["Location"])).json()["status"] == "succeeded"


async def test_the_token_of_a_call_that_did_not_wait_comes_with_the_next_answer(world: World) -> None:
    first = await world.provision(prefer="respond-async")
    await world.run_ended(first.json()["provisioning_run_id"])

    assert first.json()["team_token"] is None
    assert (await world.provision()).json()["team_token"] is not None


async def test_two_requests_at_once_end_in_the_later_one(world: World) -> None:
    first, second = await asyncio.gather(
        world.provision(slack_channel_ids=["C1"]), world.provision(slack_channel_ids=["C2"])
    )

    assert {first.status_code, second.status_code} == {200}
    runs = (await world.http.get("/api/v1/admin/provision/runs")).json()["items"]
    latest = runs[0]
    assert latest["status"] == "succeeded"
    assert {run["status"] for run in runs[1:]} <= {"superseded", "succeeded"}
    assert (await world.lookup(latest["request"]["slack_channel_ids"][0]))["found"] is True
    losers = {"C1", "C2"} - set(latest["request"]["slack_channel_ids"])
    assert [(await world.lookup(channel))["found"] for channel in losers] == [False]


async def test_h_in_a_schedule_is_a_slot_of_the_teams_own(world: World) -> None:
    first = (await world.provision(pipeline_schedule="H H * * *")).json()["pipeline_cronjob"]["schedule"]
    again = (await world.provision(pipeline_schedule="H H * * *")).json()["pipeline_cronjob"]["schedule"]

    assert "H" not in first
    assert first == again
    cronjob = await world.get("CronJob", CRONJOB)
    assert cronjob is not None
    assert cronjob["spec"]["schedule"] == first


async def test_a_look_alike_team_gets_a_name_of_its_own(world: World) -> None:
    one = (await world.provision(org_id="a-b", team_node_id="c", slack_channel_ids=[])).json()
    other = (await world.provision(org_id="a", team_node_id="b-c", slack_channel_ids=[])).json()

    assert one["dedicated_deployment"]["name"] == "agent-dedicated-a-b-c"
    assert other["dedicated_deployment"]["name"].startswith("agent-dedicated-a-b-c-")
    assert len(other["dedicated_deployment"]["name"]) == len("agent-dedicated-a-b-c-") + 8
    assert one["pipeline_cronjob"]["name"] != other["pipeline_cronjob"]["name"]


async def test_the_trail_says_who_what_and_when(world: World) -> None:
    run_id = (await world.provision()).json()["provisioning_run_id"]

    run = await world.run(run_id)

    assert run["requested_by"] == "admin"
    assert run["request"]["pipeline_schedule"] == "0 2 * * *"
    assert run["created_at"] <= run["ended_at"]
    listed = (await world.http.get("/api/v1/admin/provision/runs?org_id=extend&status=succeeded")).json()
    assert [item["provisioning_run_id"] for item in listed["items"]] == [run_id]
    assert listed["next_cursor"] is None


async def test_events_tell_each_step_and_end_with_the_run(world: World) -> None:
    run_id = (await world.provision()).json()["provisioning_run_id"]

    response = await world.http.get(f"/api/v1/admin/provision/runs/{run_id}/events")

    assert response.headers["content-type"].startswith("text/event-stream")
    events = [
        line.removeprefix("event: ") for line in response.text.splitlines() if line.startswith("event:")
    ]
    assert events[-1] == "run"
    assert events.count("step") == len((await world.run(run_id))["steps"])


async def test_a_team_tells_conditions_in_kubernetes_shape(world: World) -> None:
    await world.provision()

    team = (await world.http.get("/api/v1/admin/teams/extend/platform-sre")).json()

    conditions = {condition["type"]: condition for condition in team["conditions"]}
    assert set(conditions) == {"Provisioned", "Ready", "Degraded"}
    assert conditions["Provisioned"]["status"] == "True"
    assert conditions["Ready"]["status"] == "False"  # nobody runs pods in this cluster
    assert conditions["Ready"]["reason"] == "AgentNotAvailable"
    assert all(
        set(item) == {"type", "status", "reason", "message", "observed_generation", "last_transition_time"}
        for item in conditions.values()
    )
