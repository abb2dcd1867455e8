"""A dependency that is away never loses a request; the database away keeps nothing."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx2

from orchestrator.cluster.errors import ClusterAway
from orchestrator.errors import DependencyAway
from orchestrator.runtime import Doors
from orchestrator.settings import Settings
from servicekit.errors import DatabaseAway
from tests.integration.orchestrator.world import World


class Switched:
    """A door that can be shut: each call then fails as it does when nobody answers."""

    def __init__(self, door: Any, away: Exception) -> None:
        self.door = door
        self.away = away
        self.shut = False
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.door, name)
        if not callable(value) or name in {"on_applied", "on_deleted"}:
            return value

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append((name, options))
            if self.shut:
                raise self.away
            return value(*arguments, **options)

        return call


class Doorkeeper:
    """Keeps the switches of one control plane."""

    cluster: Switched
    config: Switched
    database: Switched

    def __call__(self, doors: Doors) -> Doors:
        self.cluster = Switched(doors.cluster, ClusterAway("ConnectError"))
        self.config = Switched(doors.config, DependencyAway("config_service", "ConnectError"))
        self.database = Switched(doors.database, DatabaseAway("ConnectError"))
        return replace(doors, cluster=self.cluster, config=self.config, database=self.database)


async def test_a_cluster_that_is_away_is_waited_for(settings: Settings) -> None:
    keeper = Doorkeeper()
    async with World.start(settings, doors_of=keeper) as world:
        keeper.cluster.shut = True

        response = await world.provision(prefer="wait=1")

        assert response.status_code == 202
        assert response.headers["Location"].endswith(response.json()["provisioning_run_id"])
        assert "cluster is away" in response.json()["waiting_for"]
        keeper.cluster.shut = False
        assert (await world.run_ended(response.json()["provisioning_run_id"]))["status"] == "succeeded"
        assert await world.exists("Deployment", "agent-dedicated-extend-platform-sre")


async def test_a_config_service_that_is_away_is_waited_for(settings: Settings) -> None:
    keeper = Doorkeeper()
    async with World.start(settings, doors_of=keeper) as world:
        keeper.config.shut = True

        response = await world.provision(prefer="wait=1")

        assert response.status_code == 202
        assert "config_service is away" in response.json()["waiting_for"]
        keeper.config.shut = False
        assert (await world.run_ended(response.json()["provisioning_run_id"]))["status"] == "succeeded"
        assert (await world.lookup("C12345"))["found"] is True


async def test_a_deprovision_goes_on_when_the_cluster_is_back(settings: Settings) -> None:
    keeper = Doorkeeper()
    async with World.start(settings, doors_of=keeper) as world:
        await world.provision()
        keeper.cluster.shut = True

        response = await world.deprovision(prefer="wait=1")

        assert response.status_code == 202
        assert (await world.lookup("C12345"))["found"] is False
        keeper.cluster.shut = False
        assert (await world.run_ended(response.json()["provisioning_run_id"]))["status"] == "succeeded"
        assert await world.objects() == {}


async def test_the_database_away_is_503_and_nothing_is_half_done(settings: Settings) -> None:
    keeper = Doorkeeper()
    async with World.start(settings, doors_of=keeper) as world:
        keeper.database.shut = True

        provisioned = await world.provision()
        ready = await world.http.get("/readyz")

        for response in (provisioned, await world.deprovision()):
            assert response.status_code == 503
            assert int(response.headers["Retry-After"]) > 0
            assert response.headers["content-type"] == "application/problem+json"
        assert ready.status_code == 503
        keeper.database.shut = False
        assert await world.config() is None
        assert await world.objects() == {}
        assert (await world.provision()).status_code == 200


async def test_readyz_is_200_with_the_cluster_away_and_says_so(settings: Settings) -> None:
    keeper = Doorkeeper()
    async with World.start(settings, doors_of=keeper) as world:
        keeper.cluster.shut = True

        response = await world.http.get("/readyz")

        assert response.status_code == 200
        assert "away" in response.json()["checks"]["cluster"]


async def test_a_dry_run_without_the_cluster_is_503(settings: Settings) -> None:
    keeper = Doorkeeper()
    async with World.start(settings, doors_of=keeper) as world:
        keeper.cluster.shut = True

        assert (await world.provision(dry_run=True)).status_code == 503


async def test_a_shape_that_the_cluster_has_accepted_is_not_asked_again(settings: Settings) -> None:
    keeper = Doorkeeper()
    async with World.start(settings, doors_of=keeper) as world:
        await world.provision(team_node_id="first", slack_channel_ids=["C1"])
        asked_first = dry_runs(keeper.cluster)
        await world.provision(team_node_id="second", slack_channel_ids=["C2"])
        asked_second = dry_runs(keeper.cluster) - asked_first
        await world.provision(team_node_id="third", slack_channel_ids=["C3"], dedicated={"replicas": 2})
        asked_third = dry_runs(keeper.cluster) - asked_first - asked_second

    assert asked_first > 0
    assert asked_second == 0
    assert asked_third > 0


def dry_runs(cluster: Switched) -> int:
    return sum(name == "apply" and bool(options.get("dry_run")) for name, options in cluster.calls)


class Unreachable(httpx2.AsyncBaseTransport):
    """Nobody answers; counts how often that was found out."""

    def __init__(self) -> None:
        self.asked = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        raise httpx2.ConnectTimeout("nobody answers", request=request)


async def test_what_does_not_answer_is_not_asked_by_everybody_and_all_go_on_when_it_is_back(
    settings: Settings,
) -> None:
    async with World.start(settings) as world:
        watching = asyncio.create_task(world.cluster.circuit.watch_over(world.cluster.is_back))
        world.cluster.circuit.on_closed(world.plane.reconciler.wake_waiting)
        reachable, nobody = world.cluster._http, Unreachable()
        world.cluster._http = httpx2.AsyncClient(transport=nobody, base_url="http://cluster.test")

        runs = [
            (
                await world.provision(
                    prefer="respond-async", team_node_id=f"t{number}", slack_channel_ids=[f"C{number:03d}"]
                )
            ).json()["provisioning_run_id"]
            for number in range(20)
        ]

        assert world.cluster.circuit.is_open
        ready = await world.http.get("/readyz")
        assert ready.status_code == 200
        assert "not asked since" in ready.json()["checks"]["cluster"]
        assert nobody.asked < 20 * 8, "each team's every call"
        world.cluster._http = reachable
        ended = [await world.run_ended(run) for run in runs]
        assert {run["status"] for run in ended} == {"succeeded"}
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
