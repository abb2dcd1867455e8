"""What the doctor finds, as it is found."""

from collections.abc import Iterator
from typing import Any, Literal

from lightkube.core.exceptions import ConfigError
from rich.table import Table
from rich.text import Text

from orchestrator.cli.failure import DONE, FAILED, Failure
from orchestrator.cli.formats import Output
from orchestrator.cli.output import heading, remarks, table, write
from orchestrator.runtime import examiners, open_doors
from orchestrator.settings import Settings
from orchestrator.usecases.caller import Caller
from orchestrator.usecases.doctor import Finding
from orchestrator.usecases.orphans import Orphan, Orphans
from servicekit.errors import DatabaseAway
from servicekit.problems import Problem

_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}
CALLER = Caller("doctor")

#: What becomes of orphans.
Orphaned = Literal["list", "adopt", "remove"]


async def report(settings: Settings, output: Output, *, orphans: Orphaned | None) -> int:
    """Examine everything; the exit status.

    Raises:
        Failure: there is nothing to examine: no cluster is configured, or no database answers.
    """
    findings: list[Finding] = []
    rows: list[dict[str, Any]] = []
    try:
        async with open_doors(settings, admin_token=settings.admin_token_or_new()[0]) as doors:
            doctor, finder = examiners(settings, doors)
            async for finding in doctor.examine():
                findings.append(finding)
                mark, style = _MARKS[finding.ok]
                remarks().print(Text(f"{mark} {finding.check}", style=style), soft_wrap=True)
            if orphans is not None:
                rows = [await _dealt_with(finder, orphan, orphans) for orphan in await finder.find()]
    except ConfigError as error:
        raise Failure(f"There is no cluster to connect to: {error}", hints=("Set KUBECONFIG.",)) from error
    except DatabaseAway as error:
        hints = ("Start it, and check ORCHESTRATOR_DATABASE_URL.",)
        raise Failure(f"The database does not answer: {error}", hints=hints) from error
    answer: dict[str, Any] = {
        "healthy": all(finding.ok is not False for finding in findings),
        "findings": [
            {"check": item.check, "ok": item.ok, "detail": item.detail, "mend": "" if item.ok else item.mend}
            for item in findings
        ],
    }
    if orphans is not None:
        answer["orphans"] = rows
    write(output, answer, _tables(answer))
    well = answer["healthy"] and not any(row["left"] for row in rows)
    return DONE if well else FAILED


async def _dealt_with(finder: Orphans, orphan: Orphan, how: Orphaned) -> dict[str, Any]:
    row: dict[str, Any] = {
        "org_id": orphan.key.org_id,
        "team_node_id": orphan.key.team_node_id,
        "objects": [ref.as_dict() for ref in orphan.refs],
        "left": True,
        "outcome": "left as it is",
    }
    if how == "list":
        return row
    try:
        run = await (finder.adopt if how == "adopt" else finder.remove)(orphan, CALLER)
    except Problem as problem:
        return row | {"outcome": f"left as it is: {problem.detail}"}
    return row | {"left": False, "outcome": f"{how}: run {run.id}"}


def _tables(answer: dict[str, Any]) -> Iterator[Table | Text]:
    marks = {True: "ok", False: "NOT OK", None: "cannot be told"}
    yield table(
        ("CHECK", "STATUS", "DETAIL", "WHAT WOULD MEND IT"),
        [(item["check"], marks[item["ok"]], item["detail"], item["mend"]) for item in answer["findings"]],
    )
    if "orphans" in answer:
        yield heading("Orphans")
        yield table(
            ("TEAM", "OBJECTS", "OUTCOME"),
            [
                (
                    f"{row['org_id']}/{row['team_node_id']}",
                    ", ".join(f"{ref['kind']} {ref['name']}" for ref in row["objects"]),
                    row["outcome"],
                )
                for row in answer["orphans"]
            ]
            or [("(none)", "", "")],
        )
