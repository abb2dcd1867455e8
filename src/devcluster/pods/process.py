"""One local process in a group of its own, which never outlives the dev cluster."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from devcluster.pods.guard import Guard, kill_group

#: Exit code of a program that a signal ended, as container runtimes report it.
_SIGNAL_BASE = 128
#: Exit code when the program cannot be started, as container runtimes report it.
CANNOT_START = 128
#: The system's own programs, after those next to the interpreter.
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


#: Tells the guard of the new group, then becomes the program. A shell does so, because Python code between
#: fork and exec can hang in a process with threads.
_ANNOUNCE = ("/bin/sh", "-c", 'echo $$ >&0 && exec "$@" </dev/null', "sh")


class CannotStart(Exception):
    """The program is not there or cannot be run; the message is for people."""


def base_environment(home: Path) -> dict[str, str]:
    """What every process gets besides its declared variables.

    Built from nothing: the dev cluster's own environment may hold secrets. `python` is the interpreter that
    runs the dev cluster.
    """
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{_SYSTEM_PATH}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
    }
    if "PYTHONPATH" in os.environ:
        entries = os.environ["PYTHONPATH"].split(os.pathsep)
        environment["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in entries if entry)
    return environment


class LocalProcess:
    """A running program with everything it started."""

    def __init__(self, process: asyncio.subprocess.Process, guard: Guard) -> None:
        self._process = process
        self._guard = guard
        self._ended = asyncio.create_task(self._reap())

    @classmethod
    async def start(
        cls, words: Sequence[str], *, environment: Mapping[str, str], directory: Path, log: Path, guard: Guard
    ) -> Self:
        """Start a program; its output, both streams, is appended to `log`.

        Raises:
            CannotStart: It is not there, or may not be run.
        """
        program = shutil.which(words[0], path=environment["PATH"])
        if program is None:
            raise CannotStart(f'exec: "{words[0]}": executable file not found in $PATH')
        with log.open("ab") as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *_ANNOUNCE,
                    program,
                    *words[1:],
                    env=environment,
                    cwd=directory,
                    stdin=guard.ear,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise CannotStart(f'exec: "{words[0]}": {error}') from error
        return cls(process, guard)

    async def wait(self) -> int:
        """Wait until the program has ended. Its exit code as container runtimes report it."""
        return await asyncio.shield(self._ended)

    def signal(self, number: signal.Signals) -> None:
        """Signal the program and everything it started; one that has ended is fine."""
        if not self._ended.done():
            kill_group(self._process.pid, number)

    async def stop(self, grace_s: float) -> int:
        """Ask the program to end, and after the grace period end it. The exit code."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.wait()

    async def _reap(self) -> int:
        code = await self._process.wait()
        # As with the first process of a container: when it ends, what it left running goes with it.
        kill_group(self._process.pid, signal.SIGKILL)
        self._guard.forget(self._process.pid)
        return code if code >= 0 else _SIGNAL_BASE - code
