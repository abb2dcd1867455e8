import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.integration.agent_runtime.fake_config_service import FakeConfigService


@dataclass
class RunningAgent:
    process: subprocess.Popen[bytes]
    http: httpx2.Client

    def ask(self, token: str | None, message: Any, *, name: str = "sre", **body: Any) -> httpx2.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.http.post(f"/agents/{name}/run", json={"message": message} | body, headers=headers)

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, "the agent ended instead of serving"
            try:
                self.http.get("/health")
            except httpx2.ConnectError:
                assert time.monotonic() < deadline, "the agent did not come up"
                time.sleep(0.02)
            else:
                return

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        return self.process.wait(timeout=30)


StartAgent = Callable[..., RunningAgent]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _start(config_service_url: str, **environment: str) -> RunningAgent:
    port = _free_port()
    settings = {"AGENT_HOST": "127.0.0.1", "AGENT_PORT": str(port), "CONFIG_SERVICE_URL": config_service_url}
    process = subprocess.Popen(
        [sys.executable, "-m", "agent_runtime"],
        env=os.environ | {"PYTHONPATH": "src"} | settings | environment,
    )
    agent = RunningAgent(process, httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20))
    agent.wait_until_up()
    return agent


@pytest.fixture(scope="session")
def config_service_process() -> Iterator[FakeConfigService]:
    service = FakeConfigService()
    yield service
    service.close()


@pytest.fixture
def config_service(config_service_process: FakeConfigService) -> FakeConfigService:
    config_service_process.reset()
    return config_service_process


@pytest.fixture(scope="session")
def shared_agent(config_service_process: FakeConfigService) -> Iterator[RunningAgent]:
    agent = _start(config_service_process.url)
    yield agent
    agent.stop()
    agent.http.close()


@pytest.fixture(scope="session")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secret") / "token"


@pytest.fixture(scope="session")
def acme_agent(config_service_process: FakeConfigService, token_file: Path) -> Iterator[RunningAgent]:
    """Dedicated to the team acme/pay."""
    agent = _start(
        config_service_process.url, ORG_ID="acme", TEAM_NODE_ID="pay", TEAM_TOKEN_FILE=str(token_file)
    )
    yield agent
    agent.stop()
    agent.http.close()


@pytest.fixture
def start_agent(config_service: FakeConfigService) -> Iterator[StartAgent]:
    started: list[RunningAgent] = []

    def start(config_service_url: str = config_service.url, **environment: str) -> RunningAgent:
        started.append(_start(config_service_url, **environment))
        return started[-1]

    yield start
    for agent in started:
        agent.stop(signal.SIGKILL)
        agent.http.close()
