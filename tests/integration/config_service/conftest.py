"""The real application over ASGI, on a real SQLite and a real PostgreSQL: every test runs on both."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from config_service.domain.ids import dedicated_url_pattern
from config_service.runtime import create_app
from config_service.store.migrate import MIGRATIONS
from servicekit.database import Database
from tests.postgresql import run_sql

ADMIN_TOKEN = "installation-admin"
TOKEN_KEY = b"k" * 32
SHARED_AGENT_URL = "http://agent-shared.incidentfox.svc.cluster.local:8000"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **by: float) -> None:
        self.time += timedelta(**by)


class Api:
    """A caller with one token."""

    def __init__(self, app: FastAPI, token: str | None) -> None:
        self._app = app
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://config-service", headers=headers
        )

    def bearing(self, token: str | None) -> "Api":
        return Api(self._app, token)

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        if body is not None:
            options["json"] = body
        return await self.http.request(method, path, **options)

    async def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of an answer that must be a success."""
        response = await self(method, path, body, **options)
        assert response.is_success, response.text
        return response.json() if response.content else None

    async def put_team(
        self, org: str, team: str, *channels: str, mode: str = "shared", url: str | None = None
    ) -> Any:
        body = {"slack_channel_ids": list(channels), "mode": mode, "dedicated_service_url": url}
        return await self.ok("PUT", f"/api/v1/internal/teams/{org}/{team}", body)

    async def team_token(self, org: str, team: str, purpose: str = "team") -> str:
        path = f"/api/v1/internal/teams/{org}/{team}/tokens"
        token: str = (await self.ok("POST", path, {"purpose": purpose}))["token"]
        return token

    async def as_team(self, org: str, team: str, purpose: str = "team") -> "Api":
        """A caller with a token of that team, which is made if it is new."""
        await self.put_team(org, team)
        return self.bearing(await self.team_token(org, team, purpose))

    async def as_org_admin(self, org: str) -> "Api":
        """A caller with an org admin's token; the organisation must exist."""
        minted = await self.ok("POST", f"/api/v1/admin/orgs/{org}/admin-tokens", {})
        return self.bearing(minted["token"])


def make_schema(url: str) -> None:
    async def run() -> None:
        database = Database(url)
        await MIGRATIONS.upgrade(database)
        await database.close()

    asyncio.run(run())


def on_database(uri: str, name: str) -> str:
    """The URI of another database of the same server."""
    return uri.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_uri: str) -> str:
    """The URI of a database with the schema, emptied after every test."""
    run_sql(postgresql_uri, "CREATE DATABASE migrated")
    uri = on_database(postgresql_uri, "migrated")
    make_schema(uri)
    return uri


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema and nothing else, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    make_schema(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with the schema and nothing else."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "config.db")
        yield f"sqlite:///{tmp_path}/config.db"
        return
    uri = request.getfixturevalue("migrated_postgresql")
    yield uri
    # Everything hangs on the nodes.
    run_sql(uri, "TRUNCATE config_nodes CASCADE")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def another_program(database_url: str) -> AsyncIterator[Callable[[], Api]]:
    """Makes callers of further processes' worth of the service: each has connections of its own."""
    databases: list[Database] = []

    def make() -> Api:
        databases.append(Database(database_url))
        app = create_app(database=databases[-1], admin_token=ADMIN_TOKEN, token_key=TOKEN_KEY)
        return Api(app, ADMIN_TOKEN)

    yield make
    for database in databases:
        await database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(database: Database, clock: Clock) -> FastAPI:
    return create_app(
        database=database,
        admin_token=ADMIN_TOKEN,
        token_key=TOKEN_KEY,
        dedicated_url_pattern=dedicated_url_pattern(["incidentfox", "incidentfox-*"]),
        shared_agent_url=SHARED_AGENT_URL,
        now=clock,
    )


@pytest.fixture
def stranger(app: FastAPI) -> Api:
    return Api(app, None)


@pytest.fixture
def admin(app: FastAPI) -> Api:
    return Api(app, ADMIN_TOKEN)
