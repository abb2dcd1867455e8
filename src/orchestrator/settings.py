"""Settings from the environment or `.env`; wrong ones stop the start with a line each."""

import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.domain.durations import parse as parse_duration


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class Settings(BaseSettings):
    """One line per setting, with unit and reason."""

    model_config = SettingsConfigDict(
        env_prefix="ORCHESTRATOR_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    #: Address and port of the API.
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    #: Where SQLite files, the admin token and the token key live.
    data_dir: Path = Path(".orchestrator")
    #: SQLAlchemy URL; unset: SQLite in the data folder.
    database_url: str | None = None
    #: PostgreSQL is migrated by `db migrate` unless this is set; SQLite always at start.
    auto_migrate: bool = False
    #: Made, shown once and kept in the data folder when absent.
    admin_token: SecretStr | None = None
    #: The namespace everything is made in unless a team has its own.
    namespace: str = Field("incidentfox", pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    #: Unset: the Config Service runs inside this process.
    config_service_url: str | None = Field(None, validation_alias=AliasChoices("CONFIG_SERVICE_URL"))
    #: How pods reach the Config Service; unset: its Service inside the installation's namespace.
    pod_config_service_url: str | None = None
    agent_image: str = "ghcr.io/incidentfox/agent-runtime:0.1.0"
    pipeline_image: str = "ghcr.io/incidentfox/ai-pipeline:0.1.0"
    shared_agent_url: str | None = None
    #: `direct` inside the cluster; `proxy` goes through the API server's service proxy.
    agent_access: Literal["direct", "proxy"] = "direct"
    #: Folder with a Slack export, as the pipeline's pods see it.
    slack_export_dir: str | None = None
    #: Look at every team this often even if nothing woke us; bounds how long drift lasts.
    resync_interval: Duration = timedelta(minutes=5)
    #: Teams reconciled at the same time by one process.
    workers: int = Field(16, ge=1, le=256)
    #: How long a team stays claimed by a process that went silent.
    lease: Duration = timedelta(seconds=30)
    #: Longest wait for an answer of the cluster or the Config Service.
    call_timeout: Duration = timedelta(seconds=10)
    log_format: Literal["json", "console"] = "json"

    def database(self) -> str:
        """The URL of the orchestrator's own database."""
        return self.database_url or f"sqlite:///{self.data_dir / 'orchestrator.db'}"

    def config_database(self) -> str:
        """The URL of the embedded Config Service's database: its own file, or the same PostgreSQL."""
        if self.database_url and not self.database_url.startswith("sqlite"):
            return self.database_url
        return f"sqlite:///{self.data_dir / 'config.db'}"

    def kubeconfig(self) -> str | None:
        """The kubeconfig to use, or `None` for the pod's own service account."""
        return os.environ.get("KUBECONFIG")

    def admin_token_or_new(self) -> tuple[str, bool]:
        """The admin token, and whether it was made just now (then it is to be shown once)."""
        if self.admin_token is not None:
            return self.admin_token.get_secret_value(), False
        return secret_from_file(self.data_dir / "admin-token")

    def token_key(self) -> bytes:
        """The installation's key for token hashes, made at the first start."""
        return secret_from_file(self.data_dir / "token-key")[0].encode()


def secret_from_file(path: Path) -> tuple[str, bool]:
    """The secret that `path` holds, and whether it was made just now; the file is its owner's alone."""
    try:
        return path.read_text().strip(), False
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        secret = secrets.token_urlsafe(32)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text().strip(), False
        with os.fdopen(descriptor, "w") as file:
            file.write(secret)
        return secret, True
