"""From Slack to an answer: the job and the agent as their own processes, one Config Service between them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_pipeline import sample_export_dir
from tests.integration.agent_runtime.fake_config_service import FakeConfigService
from tests.integration.agent_runtime.processes import start_agent_process

TEAMS = {"platform-sre": "C12345", "data": "C99999"}


@pytest.fixture
def config_service() -> Iterator[FakeConfigService]:
    service = FakeConfigService()
    yield service
    service.close()


def learn(config_service: FakeConfigService, team: str, token_file: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "ai_pipeline", "run-scheduled", "--org-id", "extend", "--team-id", team],
        env=os.environ
        | {"PYTHONPATH": "src", "CONFIG_SERVICE_URL": config_service.url, "TEAM_TOKEN_FILE": str(token_file)}
        | {"SLACK_EXPORT_DIR": str(sample_export_dir())},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_what_a_team_resolved_in_slack_is_what_its_agent_answers(
    config_service: FakeConfigService, tmp_path: Path
) -> None:
    tokens = {}
    for team, channel in TEAMS.items():
        config = {"routing": {"slack_channel_ids": [channel]}}
        tokens[team] = config_service.add_team("extend", team, f"t-{team}", config)
        (tmp_path / team).write_text(tokens[team])
    assert learn(config_service, "platform-sre", tmp_path / "platform-sre")["learned"] == 5
    assert learn(config_service, "data", tmp_path / "data")["learned"] == 1

    agent = start_agent_process(config_service.url)
    try:
        answers = {
            team: agent.ask(token, "Why was the payment latency so high?").json()
            for team, token in tokens.items()
        }
        data = agent.ask(tokens["data"], "the load of payouts was rejected").json()
    finally:
        assert agent.stop() == 0
        agent.http.close()

    assert answers["platform-sre"]["sources"][0]["channel"] == "C12345"
    assert "fraud-check" in answers["platform-sre"]["answer"]
    assert answers["data"]["sources"] == []
    assert [source["channel"] for source in data["sources"]] == ["C99999"]
