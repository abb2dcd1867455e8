"""A dev cluster as a process of its own."""

import asyncio
import signal
import sys

import pytest

PROGRAM = """
import asyncio, sys
from pathlib import Path
from devcluster.server import DevClusterSettings, serve
asyncio.run(serve(DevClusterSettings(data_dir=Path(sys.argv[1]), runs_node=False)))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_it(number, tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(tmp_path / "data"), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            assert b"devcluster_ready" in await process.stdout.readline()
            process.send_signal(number)
            output = await process.stdout.read()
            assert await process.wait() == 0, output.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
