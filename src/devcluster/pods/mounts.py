"""Where volumes are for a process that has no file system of its own.

A container sees a volume at its `mountPath`. A local process shares the machine's file system, so each volume
lies in a directory of the pod, and whatever tells the program where to look is rewritten: a value of the
environment, a word of the command or an argument that is a mount path or lies below one, or an argument
`--flag=PATH` of which the right-hand side does. A path inside a longer text (a shell script, a program given
with `-c`, a file's content) stays as it is: programs that run here take their paths from arguments or the
environment.
"""

from collections.abc import Mapping


def localise(text: str, mounts: Mapping[str, str]) -> str:
    """The text with a mount path at its start replaced by the local directory; the longest mount path wins.

    Args:
        text: One value of the environment, or one word of a command.
        mounts: Local directory by mount path.
    """
    for mount_path in sorted(mounts, key=len, reverse=True):
        prefix = mount_path.rstrip("/")
        if text == prefix or text.startswith(f"{prefix}/"):
            return mounts[mount_path] + text.removeprefix(prefix)
    return text


def localise_argument(text: str, mounts: Mapping[str, str]) -> str:
    """As `localise`, for one word of a command line: `--flag=PATH` is rewritten on the right-hand side."""
    flag, equals, value = text.partition("=")
    if equals and flag.startswith("-"):
        return f"{flag}={localise(value, mounts)}"
    return localise(text, mounts)
