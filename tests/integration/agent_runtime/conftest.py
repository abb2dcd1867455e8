import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.agent_runtime.fake_config_service import FakeConfigService
from tests.integration.agent_runtime.processes import RunningAgent, start_agent_process

StartAgent = Callable[..., RunningAgent]


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
    agent = start_agent_process(config_service_process.url)
    yield agent
    agent.stop()
    agent.http.close()


@pytest.fixture(scope="session")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secret") / "token"


@pytest.fixture(scope="session")
def acme_agent(config_service_process: FakeConfigService, token_file: Path) -> Iterator[RunningAgent]:
    """Dedicated to the team acme/pay."""
    agent = start_agent_process(
        config_service_process.url, ORG_ID="acme", TEAM_NODE_ID="pay", TEAM_TOKEN_FILE=str(token_file)
    )
    yield agent
    agent.stop()
    agent.http.close()


@pytest.fixture
def start_agent(config_service: FakeConfigService) -> Iterator[StartAgent]:
    started: list[RunningAgent] = []

    def start(config_service_url: str = config_service.url, **environment: str) -> RunningAgent:
        started.append(start_agent_process(config_service_url, **environment))
        return started[-1]

    yield start
    for agent in started:
        agent.stop(signal.SIGKILL)
        agent.http.close()
