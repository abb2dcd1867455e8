"""Contract 2, sentence by sentence."""

import json

from tests.integration.orchestrator.world import World

CRONJOB = "ai-pipeline-extend-platform-sre"
AGENT = "agent-dedicated-extend-platform-sre"


async def test_everything_goes_and_the_config_stays(world: World) -> None:
    token = (await world.provision()).json()["team_token"]
    await world.http.patch(
        "/api/v1/admin/orgs/extend/nodes/platform-sre/config",
        content=json.dumps({"agent": {"greeting": "hi"}}),
        headers={"Content-Type": "application/merge-patch+json"},
    )

    response = await world.deprovision()

    answer = response.json()
    assert response.status_code == 200, response.text
    assert answer["status"] == "succeeded"
    deleted = {(item["kind"], item["name"]) for item in answer["deleted"]}
    assert deleted >= {("CronJob", CRONJOB), ("Deployment", AGENT), ("Service", AGENT)}
    assert answer["not_found"] == []
    assert answer["kept"] == []
    assert await world.objects() == {}
    config = await world.config()
    assert config is not None
    assert config["config"]["agent"]["greeting"] == "hi"
    assert "dedicated_service_url" not in config["config"]["agent"]
    assert config["tokens"] == []
    assert (await world.lookup("C12345"))["found"] is False
    assert (await world.who(token)).status_code == 401


async def test_again_finds_nothing_and_is_no_error(world: World) -> None:
    await world.provision()
    await world.deprovision()

    response = await world.deprovision()

    answer = response.json()
    assert response.status_code == 200
    assert answer["deleted"] == []
    assert {(item["kind"], item["name"]) for item in answer["not_found"]} >= {
        ("CronJob", CRONJOB),
        ("Deployment", AGENT),
        ("Service", AGENT),
    }


async def test_a_team_nobody_has_heard_of_is_404(world: World) -> None:
    response = await world.deprovision(team_node_id="nobody")

    assert response.status_code == 404


async def test_a_team_that_only_the_config_service_knows_is_taken_away(world: World) -> None:
    body = {"slack_channel_ids": ["C7"], "mode": "shared", "dedicated_service_url": None}
    await world.http.put("/api/v1/internal/teams/extend/byhand", json=body)

    response = await world.deprovision(team_node_id="byhand", delete_config=True)

    assert response.status_code == 200
    assert await world.config("byhand") is None


async def test_delete_config_removes_the_node(world: World) -> None:
    await world.provision()

    await world.deprovision(delete_config=True)

    assert await world.config() is None


async def test_kept_objects_are_listed_and_go_the_next_time(world: World) -> None:
    await world.provision()

    kept = (await world.deprovision(delete_k8s_resources=False)).json()
    assert ("CronJob", CRONJOB) in {(item["kind"], item["name"]) for item in kept["kept"]}
    assert await world.exists("CronJob", CRONJOB)

    gone = (await world.deprovision()).json()
    assert ("CronJob", CRONJOB) in {(item["kind"], item["name"]) for item in gone["deleted"]}
    assert await world.objects() == {}


async def test_dry_run_lists_and_changes_nothing(world: World) -> None:
    await world.provision()

    answer = (await world.deprovision(dry_run=True)).json()

    assert answer["status"] == "planned"
    assert ("CronJob", CRONJOB) in {(item["kind"], item["name"]) for item in answer["deleted"]}
    assert await world.exists("CronJob", CRONJOB)
    assert (await world.lookup("C12345"))["found"] is True


async def test_only_what_carries_our_labels_for_this_team_is_deleted(world: World) -> None:
    await world.provision(pipeline_schedule=...)
    foreign = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": CRONJOB, "namespace": world.namespace},
        "spec": {
            "schedule": "0 0 * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}
                    }
                }
            },
        },
    }
    await world.cluster.create(foreign)

    answer = (await world.deprovision()).json()

    assert await world.exists("CronJob", CRONJOB)
    assert ("CronJob", CRONJOB) in {(item["kind"], item["name"]) for item in answer["not_found"]}


async def test_a_protected_team_is_refused_until_it_is_lifted(world: World) -> None:
    await world.provision(protected=True)

    refused = await world.deprovision()
    await world.provision(protected=False)
    allowed = await world.deprovision()

    assert refused.status_code == 409
    assert allowed.status_code == 200


async def test_a_later_provision_brings_the_team_back_cleanly(world: World) -> None:
    first = (await world.provision()).json()
    await world.deprovision()

    answer = (await world.provision(pipeline_schedule=...)).json()

    assert answer["status"] == "succeeded"
    assert answer["pipeline_cronjob"] is None
    assert answer["dedicated_deployment"]["name"] == first["dedicated_deployment"]["name"]
    assert answer["team_token"] not in {None, first["team_token"]}
    assert (await world.lookup("C12345"))["found"] is True


async def test_restore_within_keeps_channels_and_brings_the_team_back_as_it_was(world: World) -> None:
    await world.provision(restore_within="72h")
    await world.deprovision(delete_config=True)

    stolen = await world.provision(team_node_id="thief")
    back = await world.provision(pipeline_schedule=..., slack_channel_ids=..., deployment_mode=...)

    assert stolen.status_code == 409
    assert back.json()["pipeline_cronjob"]["schedule"] == "0 2 * * *"
    assert back.json()["deployment_mode"] == "dedicated"
    assert (await world.lookup("C12345"))["found"] is True


async def test_a_finalizer_that_holds_an_object_is_named_and_the_team_is_never_ready(world: World) -> None:
    await world.provision()
    path = f"/apis/batch/v1/namespaces/{world.namespace}/cronjobs/{CRONJOB}"
    merge = {"Content-Type": "application/merge-patch+json"}
    await world.cluster._send(
        "PATCH", path, content=json.dumps({"metadata": {"finalizers": ["example.com/hold"]}}), headers=merge
    )

    response = await world.deprovision(prefer="wait=1")

    run = await world.run(response.json()["provisioning_run_id"])
    assert response.status_code == 202
    assert CRONJOB in run["waiting_for"]
    assert "example.com/hold" in run["waiting_for"]
    team = (await world.http.get("/api/v1/admin/teams/extend/platform-sre")).json()
    assert {item["type"]: item["status"] for item in team["conditions"]}["Ready"] == "False"
    await world.cluster._send(
        "PATCH", path, content=json.dumps({"metadata": {"finalizers": None}}), headers=merge
    )
    ended = await world.run_ended(run["provisioning_run_id"])
    assert ended["status"] == "succeeded"
    assert ("CronJob", CRONJOB) in {(item["kind"], item["name"]) for item in ended["deleted"]}


async def test_a_provision_while_old_objects_are_going_waits_and_makes_new_ones(world: World) -> None:
    await world.provision()
    path = f"/apis/batch/v1/namespaces/{world.namespace}/cronjobs/{CRONJOB}"
    merge = {"Content-Type": "application/merge-patch+json"}
    await world.cluster._send(
        "PATCH", path, content=json.dumps({"metadata": {"finalizers": ["example.com/hold"]}}), headers=merge
    )
    leaving = await world.deprovision(prefer="wait=1")

    back = await world.provision(prefer="wait=1")
    assert back.status_code == 202
    assert (await world.run(leaving.json()["provisioning_run_id"]))["status"] == "superseded"
    await world.cluster._send(
        "PATCH", path, content=json.dumps({"metadata": {"finalizers": None}}), headers=merge
    )

    run = await world.run_ended(back.json()["provisioning_run_id"])
    assert run["status"] == "succeeded"
    cronjob = await world.get("CronJob", CRONJOB)
    assert cronjob is not None
    assert "deletionTimestamp" not in cronjob["metadata"]
