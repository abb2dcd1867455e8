"""A file of teams: read whole and checked, planned, asked for, then applied one after the other."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import typer
import yaml
from rich.table import Table
from rich.text import Text

from orchestrator.cli.client import Api, connect, team_path
from orchestrator.cli.failure import DONE, FAILED, STILL_RUNNING, USAGE, Failure
from orchestrator.cli.formats import Output
from orchestrator.cli.output import heading, remarks, table, write
from orchestrator.cli.progress import exit_status, submit
from orchestrator.cli.views import plan_tables
from orchestrator.domain.brake import WINDOW_S, allowed

DEPROVISION = "/api/v1/admin/deprovision/team"


@dataclass(frozen=True, slots=True)
class Change:
    """One request."""

    org_id: str
    team_node_id: str
    method: str
    path: str
    body: Mapping[str, Any]

    @property
    def title(self) -> str:
        """As people read it."""
        verb = "apply" if self.method == "PUT" else "deprovision"
        return f"{verb} {self.org_id}/{self.team_node_id}"


async def apply_text(
    text: str,
    name: str,
    *,
    prune: bool,
    dry_run: bool,
    yes: bool,
    wait_s: int,
    output: Output,
    server: str,
    token: str | None,
) -> int:
    """Plan, ask, apply what the text of a file of that name describes; the exit status.

    Raises:
        Failure: the file is wrong, the API refused a plan, or it cannot be reached; nothing was changed.
    """
    changes = list(_applies(text, name))
    async with connect(server, token) as api:
        if prune:
            changes += await _prunes(api, changes)
        plans = [(change, await _plan(api, change)) for change in changes]
        if dry_run:
            items = [{"team": change.title, "plan": plan} for change, plan in plans]
            write(output, {"items": items}, _shown(plans))
            return DONE
        if not yes and not _agreed(plans):
            return FAILED
        answers = [await _done(api, change, wait_s) for change in changes]
    write(output, {"items": answers}, [_outcomes(changes, answers)])
    statuses = {answer["exit_status"] for answer in answers}
    return FAILED if FAILED in statuses else STILL_RUNNING if STILL_RUNNING in statuses else DONE


def _applies(text: str, name: str) -> Iterator[Change]:
    """The teams that a file describes.

    Raises:
        Failure: it is not YAML, or not a list of teams, each once.
    """
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise Failure(f"{name} is not YAML: {error}", exit_status=USAGE) from error
    teams = [
        team for document in documents for team in (document if isinstance(document, list) else [document])
    ]
    seen = set()
    for number, team in enumerate(teams, start=1):
        if not isinstance(team, dict):
            raise Failure(f"{name}: team {number} is not an object with fields.", exit_status=USAGE)
        ids = tuple(str(team.get(field) or "") for field in ("org_id", "team_node_id"))
        if not all(ids):
            raise Failure(f"{name}: team {number} lacks org_id or team_node_id.", exit_status=USAGE)
        if ids in seen:
            raise Failure(f"{name}: team {'/'.join(ids)} is in it twice.", exit_status=USAGE)
        seen.add(ids)
        org_id, team_node_id = ids
        body = {field: value for field, value in team.items() if field not in {"org_id", "team_node_id"}}
        yield Change(org_id, team_node_id, "PUT", team_path(org_id, team_node_id), body)
    if not teams:
        raise Failure(f"{name} describes no team.", exit_status=USAGE)


async def _prunes(api: Api, wanted: Sequence[Change]) -> list[Change]:
    """The teams of the same customers that are not wanted.

    Raises:
        Failure: so many that somebody has to release the brake first.
    """
    keep = {(change.org_id, change.team_node_id) for change in wanted}
    gone, total = [], 0
    for team in await api.pages("/api/v1/admin/teams", {}, None):
        total += 1
        ids = (team["org_id"], team["team_node_id"])
        if ids[0] in {org_id for org_id, _ in keep} and ids not in keep and team["state"] == "active":
            body = dict(zip(("org_id", "team_node_id"), ids, strict=True))
            gone.append(Change(*ids, "POST", DEPROVISION, body))
    if len(gone) > allowed(total) and not await _brake_is_released(api):
        raise Failure(
            f"BrakeEngaged: {len(gone)} of {total} teams would be deprovisioned, {allowed(total)} at most.",
            hints=("If that is meant: orchestrator brake release, then again within ten minutes.",),
        )
    return gone


async def _brake_is_released(api: Api) -> bool:
    released_at = (await api.get("/api/v1/admin/brake"))["released_at"]
    if released_at is None:
        return False
    return (datetime.now(UTC) - datetime.fromisoformat(released_at)).total_seconds() < WINDOW_S


async def _plan(api: Api, change: Change) -> list[Any]:
    planned = await api.post(change.path, {**change.body, "dry_run": True}, method=change.method)
    plan: list[Any] = planned["plan"]
    return plan


def _shown(plans: Iterable[tuple[Change, list[Any]]]) -> Iterator[Table | Text]:
    for change, plan in plans:
        yield heading(change.title)
        yield from plan_tables(plan)


def _agreed(plans: Iterable[tuple[Change, list[Any]]]) -> bool:
    for part in _shown(plans):
        remarks().print(part, soft_wrap=True)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    return typer.confirm("Go on?", err=True)


async def _done(api: Api, change: Change, wait_s: int) -> dict[str, Any]:
    """How one change ended; one that fails does not keep the others from being applied."""
    remarks().print(heading(change.title))
    ids = {"org_id": change.org_id, "team_node_id": change.team_node_id}
    try:
        answer = await submit(
            api, change.path, change.body, wait_s=wait_s, key=None, method=change.method, of_team=ids
        )
    except Failure as failure:
        return {**ids, "status": "failed", "error": failure.message, "exit_status": FAILED}
    return {**answer, "exit_status": exit_status(answer)}


def _outcomes(changes: Iterable[Change], answers: Iterable[Mapping[str, Any]]) -> Table:
    rows = [
        (change.title, answer["status"], answer.get("provisioning_run_id") or answer.get("error"))
        for change, answer in zip(changes, answers, strict=True)
    ]
    return table(("TEAM", "STATUS", "RUN OR ERROR"), rows)
