"""Suspend and resume: nothing runs and nobody is answered, and everything comes back as it was."""

from typing import Any

import httpx2
import pytest

from tests.integration.orchestrator.world import World

AGENT = "agent-dedicated-extend-platform-sre"
PIPELINE = "ai-pipeline-extend-platform-sre"
TEAM = "/api/v1/admin/teams/extend/platform-sre"
QUESTION = {"org_id": "extend", "team_node_id": "platform-sre", "message": "What broke?"}


async def steer(world: World, what: str, *, prefer: str = "wait=20") -> httpx2.Response:
    return await world.http.post(f"{TEAM}/{what}", headers={"Prefer": prefer})


async def spec_of(world: World, kind: str, name: str) -> dict[str, Any]:
    obj = await world.get(kind, name)
    assert obj is not None
    spec: dict[str, Any] = obj["spec"]
    return spec


async def test_a_suspended_team_runs_nothing_and_answers_nobody(world: World) -> None:
    await world.provision(dedicated={"replicas": 3})

    response = await steer(world, "suspend")

    assert response.status_code == 200, response.text
    assert (await spec_of(world, "Deployment", AGENT))["replicas"] == 0
    assert (await spec_of(world, "CronJob", PIPELINE))["suspend"] is True
    assert (await world.lookup("C12345"))["suspended"] is True
    asked = await world.http.post("/api/v1/admin/agents/run", json=QUESTION)
    assert (asked.status_code, asked.json()["type"].rpartition(":")[2]) == (503, "team_suspended")
    team = (await world.http.get(TEAM)).json()
    ready = next(item for item in team["conditions"] if item["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Suspended")


async def test_a_resumed_team_is_as_it_was_and_routed_to_once_it_is_available(world: World) -> None:
    await world.provision(dedicated={"replicas": 3})
    before = (await world.http.get(TEAM)).json()["spec"]
    await steer(world, "suspend")

    response = await steer(world, "resume", prefer="wait=1")

    assert response.status_code == 202
    assert (await world.lookup("C12345"))["suspended"] is True
    await world.make_available(AGENT)
    run = await world.run_ended(response.json()["provisioning_run_id"])
    assert run["status"] == "succeeded"
    assert (await world.http.get(TEAM)).json()["spec"] == before
    assert (await spec_of(world, "Deployment", AGENT))["replicas"] == 3
    assert (await spec_of(world, "CronJob", PIPELINE)).get("suspend", False) is False
    assert (await world.lookup("C12345"))["suspended"] is False


async def test_an_autoscaled_team_comes_back_with_replicas_for_its_autoscaler(world: World) -> None:
    await world.provision(dedicated={"autoscaling": {"min_replicas": 2, "max_replicas": 4}})
    await steer(world, "suspend")
    assert not await world.exists("HorizontalPodAutoscaler", AGENT)
    assert (await spec_of(world, "Deployment", AGENT))["replicas"] == 0

    await steer(world, "resume", prefer="wait=1")

    assert await world.exists("HorizontalPodAutoscaler", AGENT)
    assert (await spec_of(world, "Deployment", AGENT))["replicas"] == 1


@pytest.mark.parametrize("replaces", [False, True])
async def test_a_change_does_not_wake_a_suspended_team(world: World, *, replaces: bool) -> None:
    await world.provision(deployment_mode="shared")
    await steer(world, "suspend")

    if replaces:
        await world.http.put(TEAM, json={"slack_channel_ids": ["C12345"], "pipeline_schedule": "0 3 * * *"})
    else:
        await world.provision(deployment_mode="shared", pipeline_schedule="0 3 * * *")

    cronjob = await spec_of(world, "CronJob", PIPELINE)
    assert (cronjob["schedule"], cronjob["suspend"]) == ("0 3 * * *", True)
    assert (await world.lookup("C12345"))["suspended"] is True


async def test_suspending_twice_is_one_state(world: World) -> None:
    await world.provision(deployment_mode="shared")

    answers = [await steer(world, "suspend"), await steer(world, "suspend"), await steer(world, "resume")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert (await world.lookup("C12345"))["suspended"] is False


async def test_only_a_team_that_is_there_can_be_suspended(world: World) -> None:
    assert (await steer(world, "suspend")).status_code == 404
    await world.provision(deployment_mode="shared")
    await world.deprovision()

    for what in ("suspend", "resume"):
        response = await steer(world, what)
        assert response.status_code == 404, response.text
    assert await world.objects() == {}


async def test_a_team_that_left_suspended_comes_back_awake(world: World) -> None:
    await world.provision(deployment_mode="shared")
    await steer(world, "suspend")
    await world.deprovision()

    await world.provision(deployment_mode="shared")

    assert (await world.lookup("C12345"))["suspended"] is False


async def test_a_body_cannot_suspend(world: World) -> None:
    response = await world.provision(suspended=True)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "suspended"
