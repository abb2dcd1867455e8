"""Settings of the agent, read from the environment once at start."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter
from pydantic_settings import BaseSettings, SettingsConfigDict

from servicekit.logs import LogFormat

RuntimeMode = Literal["shared", "dedicated"]

_HTTP_URL: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)


def _base_url(value: str) -> str:
    _HTTP_URL.validate_python(value)
    return value.rstrip("/")


class Settings(BaseSettings):
    """Where the agent listens, whom it asks, and for which team it runs.

    A runtime is dedicated when `ORG_ID`, `TEAM_NODE_ID` and `TEAM_TOKEN_FILE` are all set, shared otherwise.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    #: In a pod this is the pod's own address.
    agent_host: str = "0.0.0.0"  # noqa: S104 - a container is reached from outside by design
    agent_port: int = Field(default=8000, ge=0, le=65535)
    config_service_url: Annotated[str, AfterValidator(_base_url)]
    #: The team's runtime token; read again at every use, so that a rotated Secret needs no restart.
    team_token_file: Path | None = None
    org_id: str | None = None
    team_node_id: str | None = None
    log_format: LogFormat = "json"

    @property
    def team(self) -> tuple[str, str] | None:
        """The one team that is served, as `(org_id, team_node_id)`; `None` on a shared runtime."""
        if self.org_id is None or self.team_node_id is None or self.team_token_file is None:
            return None
        return self.org_id, self.team_node_id

    @property
    def is_partly_dedicated(self) -> bool:
        """Something of a dedicated runtime is set but not all of it: most likely a mistake."""
        return self.team is None and (self.org_id, self.team_node_id, self.team_token_file) != (None,) * 3

    @property
    def mode(self) -> RuntimeMode:
        """Whether one team is served or every team."""
        return "shared" if self.team is None else "dedicated"
