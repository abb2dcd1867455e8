"""The API's answers as tables: plans, runs, teams."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from orchestrator.cli.output import age, condition, duration, facts, heading, table

_SIGNS = {"create": "+", "update": "~", "delete": "-", "unchanged": "="}


def plan_tables(plan: Sequence[Mapping[str, Any]]) -> Iterator[Table | Text]:
    """What would be done to each object, and from what to what each of its fields would change."""
    for item in plan:
        action = item["action"]
        where = f" in {item['namespace']}" if item.get("namespace") else ""
        style = {"create": "green", "update": "yellow", "delete": "red"}.get(action, "dim")
        sign = _SIGNS.get(action, " ")
        yield Text.assemble((f"{sign} {action:<9} {item['kind']} {item['name']}", style), (where, "dim"))
        for change in item.get("changes") or ():
            yield Text(f"      {change['path']}: {_value(change.get('from'))} -> {_value(change.get('to'))}")
    yield Text(summary_of_plan(plan))


def summary_of_plan(plan: Sequence[Mapping[str, Any]]) -> str:
    """How many objects are touched, in one line."""
    counts = {action: sum(item["action"] == action for item in plan) for action in _SIGNS}
    words = {"create": "to create", "update": "to update", "delete": "to delete", "unchanged": "unchanged"}
    return "Plan: " + (", ".join(f"{n} {words[a]}" for a, n in counts.items() if n) or "nothing to do") + "."


def _value(value: Any) -> str:
    return "(none)" if value is None else json.dumps(value, ensure_ascii=False)


def provision_tables(answer: Mapping[str, Any]) -> Iterator[Table | Text]:
    """The end of a provisioning: what stands, and the token that is shown this once."""
    cronjob, deployment = answer.get("pipeline_cronjob"), answer.get("dedicated_deployment")
    pairs = [*_run_facts(answer), ("Mode", answer.get("deployment_mode"))]
    if cronjob:
        schedule = f"{cronjob.get('schedule')} {cronjob.get('time_zone') or ''}".rstrip()
        pairs.append(("Pipeline", f"{cronjob['name']} ({schedule})"))
    if deployment:
        pairs.append(("Agent", f"{deployment['name']} (replicas: {deployment.get('replicas')})"))
        pairs.append(("Agent URL", deployment.get("service_url")))
    yield facts(pairs)
    yield from _resources(answer.get("resources") or ())
    if token := answer.get("team_token"):
        yield heading("Team token (shown this once, keep it now)")
        yield Text(token)


def deprovision_tables(answer: Mapping[str, Any]) -> Iterator[Table | Text]:
    """The end of a deprovisioning: what went, what was not there, what was left."""
    yield facts(_run_facts(answer))
    rows = [
        (item["kind"], item["name"], item.get("namespace"), member.replace("_", " "))
        for member in ("deleted", "not_found", "kept")
        for item in answer.get(member) or ()
    ]
    if rows:
        yield heading("Objects")
        yield table(("KIND", "NAME", "NAMESPACE", "ACTION"), rows)


def _run_facts(run: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("Run", run.get("provisioning_run_id")),
        ("Status", run.get("status")),
        ("Team", f"{run.get('org_id')}/{run.get('team_node_id')}"),
        ("Waits for", run.get("waiting_for")),
        ("Error", error_text(run.get("error"))),
    ]


def error_text(error: Any) -> str | None:
    """An error of a run or a step in one line, whether the API sends a sentence or an object."""
    if isinstance(error, Mapping):
        return str(error.get("detail") or error.get("message") or json.dumps(error, ensure_ascii=False))
    return str(error) if error else None


def _resources(resources: Sequence[Mapping[str, Any]]) -> Iterator[Table | Text]:
    if resources:
        yield heading("Objects")
        rows = [(item["kind"], item["name"], item.get("namespace"), item.get("action")) for item in resources]
        if all(row[3] is None for row in rows):
            yield table(("KIND", "NAME", "NAMESPACE"), [row[:3] for row in rows])
        else:
            yield table(("KIND", "NAME", "NAMESPACE", "ACTION"), rows)


def runs_tables(runs: Sequence[Mapping[str, Any]], now: datetime) -> Iterator[Table | Text]:
    """Runs, a line each."""
    rows = [
        (
            run["provisioning_run_id"],
            run["kind"],
            f"{run['org_id']}/{run['team_node_id']}",
            run["status"],
            run.get("waiting_for"),
            run.get("requested_by"),
            age(run.get("created_at"), now),
        )
        for run in runs
    ]
    yield table(("RUN", "KIND", "TEAM", "STATUS", "WAITS FOR", "REQUESTED BY", "AGE"), rows)


def run_tables(run: Mapping[str, Any]) -> Iterator[Table | Text]:
    """One run with its steps."""
    pairs = _run_facts(run)
    pairs[1:1] = [("Kind", run.get("kind"))]
    pairs += [(label, run.get(name)) for label, name in _RUN_TIMES.items()]
    yield facts(pairs)
    if steps := run.get("steps"):
        yield heading("Steps")
        rows = [
            (step["name"], step["status"], duration(step.get("duration_ms")), error_text(step.get("error")))
            for step in steps
        ]
        yield table(("STEP", "STATUS", "TOOK", "ERROR"), rows)


_RUN_TIMES = {"Requested by": "requested_by", "Created": "created_at", "Ended": "ended_at"}


def teams_tables(teams: Sequence[Mapping[str, Any]]) -> Iterator[Table | Text]:
    """Teams, a line each."""
    rows = [
        (
            team["org_id"],
            team["team_node_id"],
            team.get("deployment_mode"),
            condition(team, "Ready").get("status"),
            condition(team, "Ready").get("reason"),
            (team.get("spec") or {}).get("pipeline_schedule"),
        )
        for team in teams
    ]
    yield table(("ORG", "TEAM", "MODE", "READY", "REASON", "PIPELINE"), rows)


def _chosen(dedicated: Mapping[str, Any]) -> str | None:
    """The members of a `dedicated` object that say something."""
    given = {name: value for name, value in dedicated.items() if value}
    return json.dumps(given, ensure_ascii=False) if given else None


def team_tables(team: Mapping[str, Any], now: datetime) -> Iterator[Table | Text]:
    """One team: what is wanted, what is the case, what it has."""
    spec = team.get("spec") or {}
    generation = f"{team.get('generation')} (observed: {team.get('observed_generation')})"
    last_run = team.get("last_run") or {}
    schedule = spec.get("pipeline_schedule")
    yield facts(
        (
            ("Team", f"{team['org_id']}/{team['team_node_id']}"),
            ("Mode", team.get("deployment_mode")),
            ("Generation", generation),
            ("Channels", ", ".join(spec.get("slack_channel_ids") or ()) or None),
            ("Pipeline", f"{schedule} {spec.get('pipeline_time_zone') or ''}".rstrip() if schedule else None),
            ("Dedicated", _chosen(spec.get("dedicated") or {})),
            (
                "Last run",
                f"{last_run.get('provisioning_run_id')} ({last_run.get('status')})" if last_run else None,
            ),
        )
    )
    if conditions := team.get("conditions"):
        yield heading("Conditions")
        rows = [
            (
                item["type"],
                item["status"],
                item.get("reason"),
                age(item.get("last_transition_time"), now),
                item.get("message"),
            )
            for item in conditions
        ]
        yield table(("TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"), rows)
    yield from _resources(team.get("resources") or ())
