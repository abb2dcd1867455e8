"""What people and programs read: answers on standard output, everything said about them on standard error."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.cli.failure import Failure
from orchestrator.cli.formats import Output

#: Wide enough that nothing is folded when a program reads the table.
UNFOLDED = 10_000

_COLOURS = {
    **dict.fromkeys(("True", "succeeded", "create", "created"), "green"),
    **dict.fromkeys(("False", "failed", "delete", "deleted"), "red"),
    **dict.fromkeys(("Unknown", "running", "superseded", "update", "updated"), "yellow"),
    **dict.fromkeys(("unchanged", "kept", "not found"), "dim"),
}


def answers() -> Console:
    """Where answers go."""
    return _console(sys.stdout)


def remarks() -> Console:
    """Where plans, progress and errors go, so that an answer can be piped on."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    # Text of the API is never markup, and nothing is recognised and coloured by chance.
    return Console(
        file=stream, width=None if stream.isatty() else UNFOLDED, markup=False, highlight=False, emoji=False
    )


def write(output: Output, answer: Any, tables: Iterable[Table | Text]) -> None:
    """Write an answer as it was asked for: as JSON or YAML whole, or as tables."""
    if output is Output.JSON:
        sys.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False) + "\n")
    elif output is Output.YAML:
        import yaml

        sys.stdout.write(yaml.safe_dump(answer, sort_keys=False, allow_unicode=True))
    else:
        console = answers()
        for table in tables:
            console.print(table, soft_wrap=isinstance(table, Text))


def tell_failure(failure: Failure) -> None:
    """Say what is the case and what can be done about it."""
    console = remarks()
    console.print(Text.assemble(("error: ", "bold red"), failure.message), soft_wrap=True)
    for hint in failure.hints:
        console.print(Text(f"  {hint}"), soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Columns as kubectl draws them, without a frame; statuses in colour where there is a terminal."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    return drawn


def facts(pairs: Iterable[tuple[str, Any]]) -> Table:
    """One thing, a line per fact; a fact that is absent is left out."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=False)
    drawn.add_column(no_wrap=True, style="bold")
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None:
            drawn.add_row(Text(name), _cell(value))
    return drawn


def _cell(value: Any) -> Text:
    text = "-" if value is None or value == "" else str(value)
    return Text(text, style=_COLOURS.get(text, ""))


def heading(text: str) -> Text:
    """The title of a part."""
    return Text(f"\n{text}", style="bold")


def duration(milliseconds: float | None) -> str | None:
    """A time span as a person says it: `12 ms`, `3.4 s`, `2 m 5 s`.

    >>> duration(12), duration(3400), duration(125_000), duration(7_500_000)
    ('12 ms', '3.4 s', '2 m 5 s', '2 h 5 m')
    """
    if milliseconds is None:
        return None
    if milliseconds < 1_000:  # noqa: PLR2004 - a second
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1_000
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} m {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} m"


def age(moment: str | None, now: datetime) -> str | None:
    """How long ago an RFC 3339 time was, in its largest unit, as kubectl does: `5s`, `3m`, `2h`, `9d`.

    >>> age("2026-01-01T00:00:00Z", datetime(2026, 1, 1, 2, 30, tzinfo=UTC))
    '2h'
    """
    if not moment:
        return None
    past = datetime.fromisoformat(moment)
    if past.tzinfo is None:
        past = past.replace(tzinfo=UTC)
    span = max(now - past, timedelta())
    if span.days:
        return f"{span.days}d"
    for size, unit in ((3600, "h"), (60, "m")):
        if span.seconds >= size:
            return f"{span.seconds // size}{unit}"
    return f"{span.seconds}s"


def condition(team: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A team's condition of the given type; an empty one while nothing was reported."""
    return next((item for item in team.get("conditions") or () if item["type"] == kind), {})
