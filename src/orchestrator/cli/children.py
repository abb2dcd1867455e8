"""Child processes that never outlive their parent, each with a log that is shown when it fails."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from orchestrator.cli.failure import Failure

#: How long a child may take to end when asked to, in seconds.
GRACE_S = 15.0
#: Lines of a log that are shown when something fails.
TAIL_LINES = 20
#: prctl(2): the signal that a process gets when its parent dies.
_PR_SET_PDEATHSIG = 1

T = TypeVar("T")


class Child:
    """A program that was started, and its log."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process
        self.ended = asyncio.create_task(process.wait())

    def failure(self, message: str) -> Failure:
        """A failure that shows the end of this child's log."""
        return Failure(message, hints=(f"The end of {self.log}:", *tail(self.log)))

    async def stop(self) -> None:
        """Ask the child to end; end it when it does not."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(GRACE_S):
                await asyncio.shield(self.ended)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self.ended


class Children:
    """Every program that was started; leaving the block ends them, the last one first.

    Args:
        logs: folder of their logs.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []

    async def __aenter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        for child in reversed(self._children):
            await child.stop()

    async def start(
        self, name: str, words: Sequence[str], environment: Mapping[str, str], directory: Path
    ) -> Child:
        """Start a program; both its output streams go to its log.

        It gets a session of its own: Ctrl-C on the terminal reaches only the parent, which ends the children
        in order. Should the parent be killed, the kernel (of Linux) tells them to end.
        """
        log = self._logs / f"{name}.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *words,
                env=environment,
                cwd=directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_end_with(os.getpid()) if sys.platform == "linux" else None,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    async def while_alive(self, work: Coroutine[Any, Any, T]) -> T:
        """Do some work that needs every child.

        Raises:
            Failure: one ended meanwhile.
        """
        task = asyncio.create_task(work)
        # What the work starts counts too, so the children are looked at again whenever one is added.
        try:
            while not task.done():
                ended = {child.ended for child in self._children}
                await asyncio.wait({task, *ended}, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
                for child in self._children:
                    if child.ended.done() and not task.done():
                        status = child.ended.result()
                        raise child.failure(f"{child.name} ended with status {status}.")
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _end_with(parent: int) -> Callable[[], None]:
    """A function for the moment between fork and exec; everything it needs is loaded before."""
    libc = ctypes.CDLL(None, use_errno=True)

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        # The parent may have died before the line above: nobody would tell us then.
        if os.getppid() != parent:
            os._exit(1)

    return arrange


def tail(log: Path, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """The last lines of a log; none when there is no log."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            return tuple(line.rstrip() for line in deque(file, lines))
    except OSError:
        return ()


async def until(check: Callable[[], Awaitable[bool]], *, within_s: float, every_s: float = 0.1) -> bool:
    """Whether a check, asked again and again, came true in time."""
    give_up_at = time.monotonic() + within_s
    while not await check():
        if time.monotonic() >= give_up_at:
            return False
        await asyncio.sleep(every_s)
    return True
