"""The programs as processes, as an operator runs them."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from orchestrator.cli.children import Children
from orchestrator.cli.demo_parts import Layout
from tests.acceptance.orchestrator.programs import Programs, lasting_port


@pytest.fixture
async def programs(tmp_path: Path) -> AsyncIterator[Programs]:
    layout = Layout.prepare(tmp_path / "installation", lasting_port())
    headers = {"Authorization": f"Bearer {layout.admin_token}"}
    async with (
        httpx2.AsyncClient(base_url=layout.url, headers=headers, timeout=60, trust_env=False) as http,
        Children(layout.logs) as children,
    ):
        yield Programs(layout, children, http)
