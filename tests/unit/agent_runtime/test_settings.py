from pathlib import Path

import pytest
from pydantic import ValidationError

from agent_runtime.settings import Settings

URL = "http://config-service:8081"


def settings(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name in (
        "CONFIG_SERVICE_URL",
        "ORG_ID",
        "TEAM_NODE_ID",
        "TEAM_TOKEN_FILE",
        "AGENT_HOST",
        "AGENT_PORT",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_shared_with_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    read = settings(monkeypatch, CONFIG_SERVICE_URL=URL + "/")
    assert (read.mode, read.team, read.is_partly_dedicated) == ("shared", None, False)
    assert (read.config_service_url, read.agent_host, read.agent_port) == (URL, "0.0.0.0", 8000)


def test_dedicated_when_team_and_token_file_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    read = settings(
        monkeypatch,
        CONFIG_SERVICE_URL=URL,
        ORG_ID="acme",
        TEAM_NODE_ID="pay",
        TEAM_TOKEN_FILE="/secret/token",
    )
    assert (read.mode, read.team) == ("dedicated", ("acme", "pay"))
    assert read.team_token_file == Path("/secret/token")


@pytest.mark.parametrize(
    "environment",
    [{"ORG_ID": "acme"}, {"ORG_ID": "acme", "TEAM_NODE_ID": "pay"}, {"TEAM_TOKEN_FILE": "/secret/token"}],
)
def test_half_a_team_is_shared_and_noticed(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    read = settings(monkeypatch, CONFIG_SERVICE_URL=URL, **environment)
    assert (read.mode, read.is_partly_dedicated) == ("shared", True)


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not settings(monkeypatch, CONFIG_SERVICE_URL=URL, ORG_ID="").is_partly_dedicated


@pytest.mark.parametrize("url", ["", "config-service", "ftp://config-service"])
def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ValidationError):
        settings(monkeypatch, CONFIG_SERVICE_URL=url)
