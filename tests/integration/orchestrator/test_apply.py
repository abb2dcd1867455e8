"""`orchestrator apply`: the command against the real API, over real HTTP."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml
from typer.testing import CliRunner, Result

from orchestrator.cli.main import app
from orchestrator.domain.brake import TEAMS
from tests.integration.orchestrator.world import ADMIN_TOKEN, World

Cli = Callable[..., Any]


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to pytest."""
        yield


@pytest.fixture
async def cli(world: World, tmp_path: Path) -> AsyncIterator[Cli]:
    """Applies a list of teams; the rest are the command's options."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(world.plane.app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    async def run(teams: Any, *options: str) -> Result:
        file = tmp_path / "teams.yaml"
        file.write_text(teams if isinstance(teams, str) else yaml.safe_dump_all(teams))
        words = ["apply", "-f", str(file), "--server", url, "--token", ADMIN_TOKEN, *options]
        return await asyncio.to_thread(CliRunner().invoke, app, words)

    yield run
    server.should_exit = True
    await serving


def a_team(name: str, **fields: Any) -> dict[str, Any]:
    return {"org_id": "acme", "team_node_id": name, "pipeline_schedule": "0 2 * * *"} | fields


async def teams(world: World) -> set[str]:
    listed = (await world.http.get("/api/v1/admin/teams")).json()["items"]
    return {team["team_node_id"] for team in listed}


async def test_a_file_of_teams_is_applied_whole(world: World, cli: Cli) -> None:
    result = await cli([a_team("a"), [a_team("b"), a_team("c", slack_channel_ids=["C1"])]])

    assert result.exit_code == 0, result.output
    told = [line.split()[1:3] for line in result.stdout.splitlines() if line.startswith("apply ")]
    assert told == [["acme/a", "succeeded"], ["acme/b", "succeeded"], ["acme/c", "succeeded"]]
    assert await teams(world) == {"a", "b", "c"}
    assert (await world.lookup("C1"))["team_node_id"] == "c"


async def test_what_the_file_leaves_out_is_put_back(world: World, cli: Cli) -> None:
    await cli([a_team("a", slack_channel_ids=["C1"])])

    await cli([{"org_id": "acme", "team_node_id": "a"}])

    assert (await world.lookup("C1"))["found"] is False
    assert not await world.exists("CronJob", "ai-pipeline-acme-a")


async def test_a_dry_run_shows_the_plan_and_changes_nothing(world: World, cli: Cli) -> None:
    result = await cli([a_team("a")], "--dry-run")

    assert result.exit_code == 0, result.output
    assert "CronJob ai-pipeline-acme-a" in result.stdout
    assert await teams(world) == set()


async def test_pruning_takes_the_customers_other_teams_and_nobody_elses(world: World, cli: Cli) -> None:
    await cli([a_team("a"), a_team("b"), a_team("c", org_id="other")])

    result = await cli([a_team("a")], "--prune")

    assert result.exit_code == 0, result.output
    assert await teams(world) == {"a", "c"}


async def test_pruning_too_many_needs_the_brake_released(world: World, cli: Cli) -> None:
    await cli([a_team(f"t{number}", pipeline_schedule=None) for number in range(TEAMS + 2)])

    stopped = await cli([a_team("t0", pipeline_schedule=None)], "--prune")

    assert stopped.exit_code == 1
    assert "BrakeEngaged" in stopped.stderr
    assert len(await teams(world)) == TEAMS + 2
    await world.http.post("/api/v1/admin/brake/release")
    released = await cli([a_team("t0", pipeline_schedule=None)], "--prune")
    assert released.exit_code == 0, released.output
    assert await teams(world) == {"t0"}


async def test_what_would_be_refused_stops_everything_before_it_begins(world: World, cli: Cli) -> None:
    await cli([a_team("a", protected=True), a_team("b")])

    result = await cli([a_team("c")], "--prune", "--yes")

    assert result.exit_code == 1
    assert "team_protected" in result.stderr
    assert await teams(world) == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not YAML"),
        ("", "describes no team"),
        ("- 1", "team 1 is not an object"),
        ("org_id: acme", "lacks org_id or team_node_id"),
        ("- {org_id: a, team_node_id: b}\n- {org_id: a, team_node_id: b}", "in it twice"),
    ],
)
async def test_a_wrong_file_is_a_usage_error(world: World, cli: Cli, text: str, said: str) -> None:
    result = await cli(text)

    assert result.exit_code == 2
    assert said in result.stderr
    assert await teams(world) == set()


async def test_a_field_that_does_not_exist_is_named_and_nothing_is_applied(world: World, cli: Cli) -> None:
    result = await cli([a_team("a"), a_team("b", colour="blue")])

    assert result.exit_code == 1
    assert "colour" in result.stderr
    assert await teams(world) == set()
