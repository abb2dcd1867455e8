"""What the environment (or `.env`) says about this process."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of the Config Service as a process of its own; each is `CONFIG_SERVICE_` and its name."""

    model_config = SettingsConfigDict(
        env_prefix="CONFIG_SERVICE_", env_file=".env", extra="ignore", frozen=True
    )

    #: Where to listen. Only this machine unless told otherwise: tokens travel over this connection.
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8081
    #: May be the orchestrator's own PostgreSQL database: no table's name is the same.
    database_url: str = "sqlite:///.orchestrator/config.db"
    #: The installation's admin token; the orchestrator's own when this service has none of its own.
    admin_token: Annotated[
        SecretStr,
        Field(
            min_length=16,
            validation_alias=AliasChoices("CONFIG_SERVICE_ADMIN_TOKEN", "ORCHESTRATOR_ADMIN_TOKEN"),
        ),
    ]
    #: The key of the stored tokens' hashes; made when the file does not exist. All replicas need the same.
    token_key_file: Path = Path(".orchestrator/config-token.key")
    #: The namespaces, by commas, in which dedicated agents may live; `*` is any run of characters. By default
    #: the installation's own and the ones of teams with `isolation: namespace`.
    dedicated_namespaces: Annotated[tuple[str, ...], NoDecode] = ("incidentfox", "incidentfox-*")
    #: Where teams in shared mode are answered; unset: this installation has no shared agent.
    shared_agent_url: Annotated[
        str | None,
        Field(
            validation_alias=AliasChoices("CONFIG_SERVICE_SHARED_AGENT_URL", "ORCHESTRATOR_SHARED_AGENT_URL")
        ),
    ] = None

    @field_validator("dedicated_namespaces", mode="before")
    @classmethod
    def _by_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(name for part in value.split(",") if (name := part.strip()))
        return value
