"""The output of containers: one file for each run, the last one kept when a container starts again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

#: How often a followed file is looked at for more.
_FOLLOW_PAUSE_S = 0.1
_CHUNK = 64 * 1024


class LogFiles:
    """The files of one container below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def begin(self, run: int) -> Path:
        """The file for a run, of which the one before is kept and no more.

        Args:
            run: How often the container was started before.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        for path in self._directory.glob("*.log"):
            if int(path.stem) < run - 1:
                path.unlink()
        return self._directory / f"{run}.log"

    def current(self) -> Path | None:
        """The file of the present run; `None` before the first."""
        return self._at(-1)

    def previous(self) -> Path | None:
        """The file of the run before; `None` if there was none."""
        return self._at(-2)

    def _at(self, position: int) -> Path | None:
        paths = sorted(self._directory.glob("*.log"), key=lambda path: int(path.stem))
        return paths[position] if len(paths) >= -position else None


def start_of_tail(content: bytes, lines: int) -> int:
    """Where the last so many lines begin."""
    position = len(content) - 1 if content.endswith(b"\n") else len(content)
    if lines == 0:
        return len(content)
    for _ in range(lines):
        position = content.rfind(b"\n", 0, position)
        if position < 0:
            return 0
    return position + 1


async def read(
    path: Path, *, tail_lines: int | None, follow: bool, has_ended: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Read a log, and when asked go on until the run has ended.

    Args:
        path: The file.
        tail_lines: Begin with so many lines from the end; `None` is the beginning.
        follow: Wait for more.
        has_ended: Whether nothing more will be written.
    """
    with path.open("rb") as log:
        if tail_lines is not None:
            log.seek(start_of_tail(log.read(), tail_lines))
        while True:
            ended = has_ended()
            while chunk := log.read(_CHUNK):
                yield chunk
            if ended or not follow:
                return
            await asyncio.sleep(_FOLLOW_PAUSE_S)
