"""Puts the parts together: the application out of a database and secrets, and the process out of settings."""

import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from config_service.api.app import build_app
from config_service.api.services import Services
from config_service.domain.ids import dedicated_url_pattern as pattern_for
from config_service.domain.tokens import MIN_KEY_BYTES
from config_service.settings import Settings
from config_service.store.access import open_access
from config_service.store.migrate import MIGRATIONS
from servicekit.database import Database


def create_app(
    *,
    database: Database,
    admin_token: str | Callable[[], str],
    token_key: bytes,
    dedicated_url_pattern: re.Pattern[str] | None = None,
    shared_agent_url: str | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FastAPI:
    """The Config Service as an ASGI application.

    Args:
        database: with the schema of `config_service.store.migrate.MIGRATIONS`; whoever gives it closes it.
        admin_token: the installation's admin token, or where to ask for it at every request.
        token_key: the key of the hashes that tokens are stored as; another key makes every token unknown.
        dedicated_url_pattern: what the whole of a dedicated agent's address must match, see
            `config_service.domain.ids.dedicated_url_pattern`; by default in any namespace.
        shared_agent_url: where teams in shared mode are answered.
        now: the clock, in UTC.

    Raises:
        ValueError: the key is too short.
    """
    if len(token_key) < MIN_KEY_BYTES:
        raise ValueError(f"The token key must have at least {MIN_KEY_BYTES} bytes.")
    return build_app(
        Services(
            access=open_access(database),
            admin_token=admin_token if callable(admin_token) else lambda: admin_token,
            token_key=token_key,
            url_pattern=dedicated_url_pattern or pattern_for(),
            shared_agent_url=shared_agent_url,
            now=now,
        )
    )


def app_of(settings: Settings, database: Database) -> FastAPI:
    """The application that `settings` describe, on `database`."""
    return create_app(
        database=database,
        admin_token=settings.admin_token.get_secret_value(),
        token_key=load_token_key(settings.token_key_file),
        dedicated_url_pattern=pattern_for(settings.dedicated_namespaces),
        shared_agent_url=settings.shared_agent_url,
    )


async def serve(settings: Settings) -> None:
    """Answer on `settings.host:port` until SIGTERM or SIGINT; SQLite is brought up to date first."""
    database = Database(settings.database_url)
    try:
        if database.is_sqlite:
            await MIGRATIONS.upgrade(database)
        config = uvicorn.Config(
            app_of(settings, database),
            host=settings.host,
            port=settings.port,
            lifespan="off",
            access_log=False,
            log_config=None,
        )
        await uvicorn.Server(config).serve()
    finally:
        await database.close()


def load_token_key(path: Path) -> bytes:
    """The key in the file at `path`; made there, readable by its owner alone, when the file does not exist.

    Raises:
        OSError: the file cannot be read or made.
        ValueError: the file is too short to be a key.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        _write_new(path, secrets.token_hex(MIN_KEY_BYTES).encode())
    key = path.read_bytes().strip()
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"{path} holds fewer than {MIN_KEY_BYTES} bytes.")
    return key


def _write_new(path: Path, content: bytes) -> None:
    """Make a file that is whole from the first moment it can be seen; of two makers the first one wins."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.link(temporary, path)
    finally:
        temporary.unlink()
