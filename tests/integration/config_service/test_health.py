"""Whether it lives and can work; how the schema comes to be; how the process runs."""

import asyncio
import os
import signal
import socket
import stat
import sys

import httpx2
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from fastapi import FastAPI
from pydantic import ValidationError
from sqlalchemy import text

from config_service.runtime import create_app, load_token_key
from config_service.settings import Settings
from config_service.store.migrate import MIGRATIONS
from config_service.store.tables import metadata
from servicekit.database import Database


async def test_a_current_schema_is_ready(stranger, database):
    assert await MIGRATIONS.is_current(database)
    for path in ("/livez", "/readyz", "/health"):
        response = await stranger("GET", path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_an_old_schema_lives_but_is_not_ready(stranger, database):
    async with database.unit_of_work() as connection:
        await connection.execute(text(f"DELETE FROM {MIGRATIONS.version_table}"))
    assert not await MIGRATIONS.is_current(database)
    assert (await stranger("GET", "/livez")).status_code == 200
    response = await stranger("GET", "/readyz")
    assert response.status_code == 503
    assert response.json()["type"].endswith("schema_not_current")
    async with database.unit_of_work() as connection:
        values = {"head": "0001"}
        await connection.execute(text(f"INSERT INTO {MIGRATIONS.version_table} VALUES (:head)"), values)


async def test_the_migrations_make_what_the_tables_say(database):
    def differences(connection):
        options = {
            "version_table": MIGRATIONS.version_table,
            "include_name": lambda name, kind, _: kind != "table" or name in metadata.tables,
        }
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with database.unit_of_work() as connection:
        assert await connection.run_sync(differences) == []


async def test_every_table_bears_the_prefix():
    assert all(name.startswith("config_") for name in metadata.tables)


async def test_two_that_migrate_at_once_take_turns(tmp_path):
    databases = [Database(f"sqlite:///{tmp_path}/new.db") for _ in range(2)]
    await asyncio.gather(*(MIGRATIONS.upgrade(database) for database in databases))
    for database in databases:
        assert await MIGRATIONS.is_current(database)
        await database.close()


async def test_a_database_that_is_away_is_unavailable(unused_tcp_port):
    database = Database(f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/nothing")
    app = create_app(database=database, admin_token="installation-admin", token_key=b"k" * 32)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://config-service") as client:
        for method, path, body in (
            ("GET", "/readyz", None),
            ("GET", "/api/v1/internal/teams/extend/sre", None),
            ("DELETE", "/api/v1/internal/teams/extend/sre", None),
        ):
            headers = {"Authorization": "Bearer installation-admin"}
            response = await client.request(method, path, json=body, headers=headers)
            assert response.status_code == 503
            assert response.headers["retry-after"]
        assert (await client.get("/livez")).status_code == 200
    await database.close()


async def test_a_database_in_memory_is_refused():
    database = Database("sqlite:///:memory:")
    with pytest.raises(ValueError, match="in a file"):
        create_app(database=database, admin_token="installation-admin", token_key=b"k" * 32)
    await database.close()


async def test_errors_of_the_framework_are_problems_too(admin):
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/api/v1/nothing", 404),
        ("PUT", "/api/v1/auth/me", 405),
    ):
        response = await admin(method, path)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"


async def test_it_answers_behind_another_application(app):
    outer = FastAPI()

    @outer.get("/health")
    async def health() -> str:
        return "outer"

    outer.mount("/", app)
    headers = {"Authorization": "Bearer installation-admin"}
    transport = httpx2.ASGITransport(app=outer)
    async with httpx2.AsyncClient(transport=transport, base_url="http://outer", headers=headers) as client:
        assert (await client.get("/health")).json() == "outer"
        assert (await client.get("/api/v1/auth/me")).json()["kind"] == "admin"
        assert (await client.get("/api/v1/nothing")).status_code == 404
        refused = await client.get("/api/v1/auth/me", headers={"Authorization": "Bearer x"})
        assert refused.json()["type"].endswith("unauthorized")


async def test_the_interface_is_documented(stranger):
    document = await stranger.ok("GET", "/openapi.json")
    operation = document["paths"]["/api/v1/admin/orgs/{org}/nodes/{node}/config"]["patch"]
    assert "application/merge-patch+json" in operation["requestBody"]["content"]
    assert {"200", "401", "403", "404", "409", "412", "413", "422", "503"} <= set(operation["responses"])
    assert document["components"]["securitySchemes"]


def test_a_key_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "keys" / "token.key"
    key = load_token_key(path)
    assert len(key) >= 32
    assert load_token_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["token.key"]


def test_a_short_key_is_refused(tmp_path):
    path = tmp_path / "token.key"
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match="fewer than"):
        load_token_key(path)
    with pytest.raises(ValueError, match="at least"):
        create_app(database=Database(f"sqlite:///{tmp_path}/x.db"), admin_token="a" * 16, token_key=b"short")


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRATOR_ADMIN_TOKEN", "a-long-admin-token")
    monkeypatch.setenv("CONFIG_SERVICE_DEDICATED_NAMESPACES", "one, two-*")
    monkeypatch.setenv("CONFIG_SERVICE_DATABASE_URL", "postgresql://somewhere/db")
    settings = Settings()
    assert settings.port == 8081
    assert settings.dedicated_namespaces == ("one", "two-*")
    assert settings.database_url == "postgresql://somewhere/db"
    assert "a-long-admin-token" not in repr(settings)
    monkeypatch.setenv("ORCHESTRATOR_ADMIN_TOKEN", "short")
    with pytest.raises(ValidationError):
        Settings()


async def test_the_process_serves_until_it_is_told_to_stop(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CONFIG_SERVICE_PORT": str(port),
        "CONFIG_SERVICE_ADMIN_TOKEN": "a-long-admin-token",
        "CONFIG_SERVICE_DATABASE_URL": f"sqlite:///{tmp_path}/config.db",
        "CONFIG_SERVICE_TOKEN_KEY_FILE": f"{tmp_path}/token.key",
    }
    program = (
        "import asyncio; from config_service.runtime import serve;"
        " from config_service.settings import Settings; asyncio.run(serve(Settings()))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, cwd=tmp_path
    )
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await _ready(client, process)
            headers = {"Authorization": "Bearer a-long-admin-token"}
            me = await client.get("/api/v1/auth/me", headers=headers)
            assert me.json()["kind"] == "admin"
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)
    assert process.returncode in {0, -signal.SIGTERM}


async def _ready(client, process):
    async with asyncio.timeout(60):
        while process.returncode is None:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
    pytest.fail("The process ended before it was ready.")
