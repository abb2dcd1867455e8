"""A deletion that somebody holds: named, waited for, and let go with a recorded reason."""

import json
from typing import Any

import httpx2

from orchestrator.cluster.kinds import KINDS
from orchestrator.domain.objects import Ref
from tests.integration.orchestrator.world import World

AGENT = "agent-dedicated-extend-platform-sre"
TEAM = "/api/v1/admin/teams/extend/platform-sre"


async def hold(world: World, kind: str, name: str, *finalizers: str) -> None:
    """What somebody else's controller does to an object that it wants to clean up after."""
    ref = Ref(kind, world.namespace, name)
    await world.cluster._send(
        "PATCH",
        f"{KINDS[kind].collection(ref.namespace)}/{name}",
        content=json.dumps({"metadata": {"finalizers": list(finalizers)}}),
        headers={"Content-Type": "application/merge-patch+json"},
    )


async def release(world: World, **body: Any) -> httpx2.Response:
    return await world.http.post(f"{TEAM}/release", json=body, headers={"Prefer": "wait=20"})


async def test_a_held_team_says_what_holds_it_and_leaves_when_it_is_released(world: World) -> None:
    await world.provision()
    await hold(world, "Service", AGENT, "backup.example/wait")
    leaving = await world.deprovision(prefer="wait=1")
    assert leaving.status_code == 202
    assert "backup.example/wait" in (await world.run(leaving.json()["provisioning_run_id"]))["waiting_for"]
    team = (await world.http.get(TEAM)).json()
    degraded = next(item for item in team["conditions"] if item["type"] == "Degraded")
    assert (degraded["status"], degraded["reason"]) == ("True", "DeletionHeld")

    response = await release(world, reason="the backup controller is gone for good")

    assert response.status_code == 200, response.text
    run = response.json()
    assert run["status"] == "succeeded"
    (released,) = run["released"]
    assert (released["kind"], released["name"]) == ("Service", AGENT)
    assert "backup.example/wait" in released["held_by"]
    assert released["reason"] == "admin: the backup controller is gone for good"
    assert {item["kind"] for item in run["deleted"]} >= {"Deployment", "Secret", "CronJob"}
    assert "Service" not in {item["kind"] for item in run["deleted"]}
    assert (await world.http.get(TEAM)).status_code == 404
    service = await world.get("Service", AGENT)
    assert service is not None
    assert service["metadata"]["finalizers"] == ["backup.example/wait"], "it is somebody else's"


async def test_a_released_team_that_comes_back_waits_for_what_is_still_going(world: World) -> None:
    await world.provision()
    await hold(world, "Service", AGENT, "backup.example/wait")
    await world.deprovision(prefer="wait=1")
    await release(world, reason="never mind")

    back = await world.provision(prefer="wait=1")

    assert back.status_code == 202
    await hold(world, "Service", AGENT)
    run = await world.run_ended(back.json()["provisioning_run_id"])
    assert run["status"] == "succeeded"
    service = await world.get("Service", AGENT)
    assert service is not None
    assert "deletionTimestamp" not in service["metadata"]


async def test_releasing_needs_a_reason_and_a_team_that_leaves(world: World) -> None:
    assert (await release(world, reason="why not")).status_code == 404
    await world.provision()

    nothing_leaves = await release(world, reason="why not")
    no_reason = await release(world, reason=" ")

    assert nothing_leaves.status_code == 409
    assert nothing_leaves.json()["type"].endswith("team_is_not_being_deprovisioned")
    assert no_reason.status_code == 422
    assert no_reason.json()["errors"][0]["field"] == "reason"
