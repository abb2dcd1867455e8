import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ai_pipeline import sample_export_dir
from ai_pipeline.cli import main
from ai_pipeline.config_service import Retry
from tests.integration.agent_runtime.fake_config_service import FakeConfigService

TOKEN = "t-platform-sre"
QUICK = Retry(attempts=3, wait_initial_s=0.01, wait_max_s=0.02, wait_jitter_s=0)


@dataclass(frozen=True)
class Run:
    """What one run of the job left behind."""

    status: int
    lines: list[str]
    error: str

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.lines[-1])


class Job:
    """Runs the pipeline's command line in this process, with an environment of its own."""

    def __init__(self, environment: dict[str, str], capture: pytest.CaptureFixture[str]) -> None:
        self.environment = environment
        self._capture = capture

    def run(self, *options: str, org_id: str = "extend", team_id: str = "platform-sre") -> Run:
        arguments = ["run-scheduled", "--org-id", org_id, "--team-id", team_id, *options]
        status = main(arguments, self.environment, QUICK)
        written = self._capture.readouterr()
        return Run(status, written.out.splitlines(), written.err)


@pytest.fixture(scope="session")
def config_service_process() -> Iterator[FakeConfigService]:
    service = FakeConfigService()
    yield service
    service.close()


@pytest.fixture
def config_service(config_service_process: FakeConfigService) -> FakeConfigService:
    """Knows the team extend/platform-sre, to which the channel C12345 is routed."""
    config_service_process.reset()
    config = {"routing": {"slack_channel_ids": ["C12345"]}}
    config_service_process.add_team("extend", "platform-sre", TOKEN, config)
    return config_service_process


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A copy of the bundled export, to be changed at will."""
    return Path(shutil.copytree(sample_export_dir(), tmp_path / "export"))


@pytest.fixture
def job(
    config_service: FakeConfigService, token_file: Path, export: Path, capsys: pytest.CaptureFixture[str]
) -> Job:
    environment = {
        "CONFIG_SERVICE_URL": config_service.url,
        "TEAM_TOKEN_FILE": str(token_file),
        "SLACK_EXPORT_DIR": str(export),
    }
    return Job(environment, capsys)
