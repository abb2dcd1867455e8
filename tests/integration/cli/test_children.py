import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from orchestrator.cli.children import Children, tail, until
from orchestrator.cli.failure import Failure

SLEEPS = (sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()")
FAILS = (sys.executable, "-c", "print('reading'); raise SystemExit('no such database')")
PARENT = """
import asyncio, os, sys
from pathlib import Path
from orchestrator.cli.children import Children

async def main():
    async with Children(Path(sys.argv[1])) as children:
        words = (sys.executable, "-c", "import os, signal; print(os.getpid(), flush=True); signal.pause()")
        await children.start("child", words, dict(os.environ), Path(sys.argv[1]))
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def is_up(log: Path) -> bool:
    return bool(tail(log))


async def is_gone(pid: int) -> bool:
    # A state of Z is a process that has ended and that its new parent has not collected yet.
    return not any(
        line.startswith("State:") and "Z" not in line for line in tail(Path(f"/proc/{pid}/status"), 99)
    )


async def test_a_child_that_fails_ends_the_work_and_shows_its_log(tmp_path):
    async with Children(tmp_path) as children:
        await children.start("store", FAILS, dict(os.environ), tmp_path)
        with pytest.raises(Failure, match="store ended with status 1") as failure:
            await children.while_alive(asyncio.sleep(60))
    assert failure.value.hints[-2:] == ("reading", "no such database")


async def test_work_that_ends_while_every_child_lives_gives_its_result(tmp_path):
    async def work() -> str:
        await children.start("late", SLEEPS, dict(os.environ), tmp_path)
        return "done"

    async with Children(tmp_path) as children:
        assert await children.while_alive(work()) == "done"


async def test_every_child_has_ended_when_the_block_is_left(tmp_path):
    async with Children(tmp_path) as children:
        started = [await children.start(name, SLEEPS, dict(os.environ), tmp_path) for name in ("a", "b")]
        for child in started:
            assert await until(lambda log=child.log: is_up(log), within_s=20)
    assert [child.ended.result() for child in started] == [-signal.SIGTERM] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
async def test_children_end_with_a_parent_that_is_killed(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), env=environment
    )
    log = tmp_path / "child.log"
    try:
        assert await until(lambda: is_up(log), within_s=30)
    finally:
        parent.kill()
        await parent.wait()
    pid = int(log.read_text())
    assert await until(lambda: is_gone(pid), within_s=20)
