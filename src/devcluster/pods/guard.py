"""A small process that outlives the dev cluster by a moment, to end what the dev cluster cannot end any more.

Every process that a node starts announces its process group here before it becomes the program (see
`process.py`). When the dev cluster goes, by whatever signal, the pipe closes, and the guard kills the groups
that were not reported ended.
"""

import contextlib
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import IO, Self


class Guard:
    """The dev cluster's end of the guard; a context manager around the life of a node."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: IO[bytes] | None = None

    def __enter__(self) -> Self:
        # A session of its own: no Ctrl-C and no signal to the dev cluster's group reaches it.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and this very file
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, start_new_session=True, env={}
        )
        self._pipe = self._process.stdin
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._pipe is not None
        with contextlib.suppress(BrokenPipeError):
            self._pipe.close()
        self._process.wait()

    @property
    def ear(self) -> IO[bytes]:
        """Where the leader of a new group writes its number as a line; so short that writers never mix."""
        assert self._pipe is not None
        return self._pipe

    def forget(self, group: int) -> None:
        """The group has ended, and its number may soon be another's."""
        assert self._pipe is not None
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe.fileno(), f"-{group}\n".encode())


def kill_group(group: int, number: int) -> None:
    """Signal every process of a group; none left is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _watch(pipe: IO[bytes]) -> None:
    groups: set[int] = set()
    for line in pipe:
        group = int(line)
        if group > 0:
            groups.add(group)
        else:
            groups.discard(-group)
    for group in groups:
        kill_group(group, signal.SIGKILL)


if __name__ == "__main__":
    for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(_number, signal.SIG_IGN)
    _watch(sys.stdin.buffer)
