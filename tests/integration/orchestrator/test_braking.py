"""The brake: what would empty or re-make many teams at once, though nobody asked, stops and asks."""

from datetime import timedelta

import pytest

from orchestrator.domain.brake import TEAMS
from orchestrator.domain.objects import Ref
from orchestrator.settings import Settings
from tests.integration.orchestrator.test_drift import path_of, until
from tests.integration.orchestrator.world import World

MANY = TEAMS + 3


async def provisioned(world: World) -> list[Ref]:
    """Their CronJobs."""
    for number in range(MANY):
        response = await world.provision(
            team_node_id=f"team-{number}", slack_channel_ids=[f"C{number:03d}"], deployment_mode="shared"
        )
        assert response.status_code == 200, response.text
    return sorted(ref for ref in await world.objects() if ref.kind == "CronJob")


async def present(world: World) -> int:
    return sum(ref.kind == "CronJob" for ref in await world.objects())


@pytest.fixture
def watching_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"resync_interval": timedelta(hours=1)})


async def test_a_few_teams_are_put_right_and_many_wait_for_somebody_to_say_so(
    watching_settings: Settings,
) -> None:
    async with World.start(watching_settings, drift=True) as world:
        cronjobs = await provisioned(world)
        for ref in cronjobs:
            await world.cluster._send("DELETE", path_of(ref))

        async def is_engaged() -> bool:
            return bool((await world.http.get("/api/v1/admin/brake")).json()["engaged"])

        await until(is_engaged)
        ready = (await world.http.get("/readyz")).json()
        assert ready["checks"]["brake"].startswith("BrakeEngaged")
        assert "orchestrator_brake_engaged 1.0" in (await world.http.get("/metrics")).text
        held = [
            team
            for team in (await world.http.get("/api/v1/admin/teams")).json()["items"]
            if any(item["reason"] == "BrakeEngaged" for item in team["conditions"])
        ]
        assert held
        assert await present(world) <= TEAMS

        response = await world.http.post("/api/v1/admin/brake/release")

        assert response.json()["engaged"] is False
        assert response.json()["released_by"] == "admin"

        async def is_whole() -> bool:
            return await present(world) == MANY

        await until(is_whole)


async def test_what_is_asked_for_is_never_braked(watching_settings: Settings) -> None:
    async with World.start(watching_settings) as world:
        await provisioned(world)

        for number in range(MANY):
            response = await world.deprovision(team_node_id=f"team-{number}")
            assert response.status_code == 200, response.text

        assert (await world.http.get("/api/v1/admin/brake")).json()["engaged"] is False


async def test_an_orgs_admin_cannot_release_it(world: World) -> None:
    made = await world.http.post("/api/v1/admin/orgs/extend/admin-tokens", json={"label": "x"})
    if made.status_code == 404:
        await world.provision(deployment_mode="shared")
        made = await world.http.post("/api/v1/admin/orgs/extend/admin-tokens", json={"label": "x"})
    async with world.caller(made.json()["token"]) as caller:
        assert (await caller.get("/api/v1/admin/brake")).status_code == 403
        assert (await caller.post("/api/v1/admin/brake/release")).status_code == 403
