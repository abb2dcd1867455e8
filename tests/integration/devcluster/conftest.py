import httpx2
import pytest_asyncio

from devcluster.server import DevCluster, DevClusterSettings


@pytest_asyncio.fixture
async def api_server(tmp_path):
    """An API server alone, as it was when the recordings were made."""
    settings = DevClusterSettings(data_dir=tmp_path / "devcluster", runs_controllers=False, runs_node=False)
    async with DevCluster(settings) as cluster:
        yield cluster


@pytest_asyncio.fixture
async def client(api_server):
    headers = {"Authorization": f"Bearer {api_server.token}"}
    async with httpx2.AsyncClient(base_url=api_server.url, headers=headers, timeout=30) as client:
        yield client
