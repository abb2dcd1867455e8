"""Backup and return on SQLite: one file, taken while others write, refused where it would do harm."""

import contextlib
import sqlite3
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.settings import Settings
from tests.integration.orchestrator.world import World

#: PostgreSQL has tools of its own.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def sqlite_world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", world.settings.database())
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(world.settings.data_dir))
    return world


def db(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["db", *words])
    return result.exit_code, result.output


async def test_a_backup_of_a_running_installation_holds_everything(
    sqlite_world: World, tmp_path: Path
) -> None:
    token = (await sqlite_world.provision()).json()["team_token"]
    file = tmp_path / "backup.tar.gz"

    assert db("backup", str(file))[0] == 0

    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        assert set(tar.getnames()) == {"orchestrator.db", "config.db", "token-key"}
        tar.extract("orchestrator.db", tmp_path, filter="data")
    with sqlite3.connect(tmp_path / "orchestrator.db") as copy:
        assert copy.execute("SELECT team_node_id FROM teams").fetchall() == [("platform-sre",)]
    assert token.encode() not in file.read_bytes()


async def test_nothing_is_restored_under_a_running_server(sqlite_world: World, tmp_path: Path) -> None:
    await sqlite_world.provision()
    file = tmp_path / "backup.tar.gz"
    db("backup", str(file))

    status, said = db("restore", str(file))

    assert status == 1
    assert "in use" in said


async def test_what_was_backed_up_comes_back_with_its_tokens(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", settings.database())
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(settings.data_dir))
    file = tmp_path / "backup.tar.gz"
    async with World.start(settings) as world:
        token = (await world.provision()).json()["team_token"]
        assert db("backup", str(file))[0] == 0
        await world.deprovision(delete_config=True)
        await world.provision(team_node_id="later", slack_channel_ids=["C9"], deployment_mode="shared")

    assert db("restore", str(file)) == (
        0,
        "Restored. Start the server, then look: orchestrator doctor --orphans\n",
    )

    async with World.start(settings) as world:
        listed = (await world.http.get("/api/v1/admin/teams")).json()["items"]
        assert [team["team_node_id"] for team in listed] == ["platform-sre"]
        assert (await world.who(token)).json()["team_node_id"] == "platform-sre"


@pytest.mark.parametrize("damage", ["not a backup", "later version", "torn"])
@pytest.mark.usefixtures("sqlite_world")
async def test_what_is_no_backup_changes_nothing(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, broken = tmp_path / "backup.tar.gz", tmp_path / "broken.tar.gz"
    db("backup", str(file))
    if damage == "not a backup":
        broken.write_text("hello")
    else:
        with tarfile.open(file) as tar:
            tar.extractall(tmp_path / "x", filter="data")
        database = tmp_path / "x" / "orchestrator.db"
        if damage == "torn":
            database.write_bytes(database.read_bytes()[:5000])
        else:
            with contextlib.closing(sqlite3.connect(database)) as connection, connection:
                (table,) = connection.execute(
                    "SELECT name FROM sqlite_master WHERE name LIKE '%alembic_version' LIMIT 1"
                ).fetchone()
                connection.execute(f"UPDATE {table} SET version_num = '9999'")
        with tarfile.open(broken, "w:gz") as tar:
            for path in (tmp_path / "x").iterdir():
                tar.add(path, path.name)
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(elsewhere))
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", f"sqlite:///{elsewhere}/orchestrator.db")
    elsewhere.mkdir()

    status, said = db("restore", str(broken))

    assert status == 1
    assert "backup" in said
    assert [path.name for path in elsewhere.iterdir()] == ["in-use.lock"]
