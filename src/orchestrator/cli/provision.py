"""`orchestrator provision`: bring a team to the state described."""

import enum
import json
from typing import Annotated, Any

import typer

from orchestrator.cli.formats import Output
from orchestrator.cli.options import (
    DEFAULT_SERVER,
    DryRun,
    Format,
    Key,
    Org,
    Server,
    Team,
    Token,
    Wait,
    Yes,
    perform,
)

#: How long a command waits unless told otherwise, in seconds.
DEFAULT_WAIT_S = 120


class Mode(enum.StrEnum):
    """On which runtime the team's agent answers."""

    SHARED = "shared"
    DEDICATED = "dedicated"


class Clearable(enum.StrEnum):
    """Fields that can be given back to their default."""

    CHANNELS = "slack_channel_ids"
    SCHEDULE = "pipeline_schedule"
    TIME_ZONE = "pipeline_time_zone"
    DEDICATED = "dedicated"
    RESTORE_WITHIN = "restore_within"


def provision(
    *,
    org: Org,
    team: Team,
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", help="A Slack channel routed to the team; repeat it for several."),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option("--schedule", help="Cron string of the AI pipeline, `H` in a field spreads teams."),
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", help="IANA time zone of the schedule (UTC when absent).")
    ] = None,
    mode: Annotated[Mode | None, typer.Option("--mode", help="Runtime of the team's agent.")] = None,
    dedicated: Annotated[
        str | None,
        typer.Option(
            "--dedicated", metavar="JSON", help="How the dedicated agent runs, as the API takes it."
        ),
    ] = None,
    replicas: Annotated[
        int | None, typer.Option("--replicas", help="Replicas of the dedicated agent.")
    ] = None,
    isolation: Annotated[
        str | None, typer.Option("--isolation", help="`workload`, or `namespace` for a namespace of its own.")
    ] = None,
    sla: Annotated[str | None, typer.Option("--sla", help="`standard` or `guaranteed`.")] = None,
    image: Annotated[str | None, typer.Option("--image", help="Image of the dedicated agent.")] = None,
    protected: Annotated[
        bool | None, typer.Option("--protected/--unprotected", help="Refuse deprovisioning until lifted.")
    ] = None,
    restore_within: Annotated[
        str | None,
        typer.Option(
            "--restore-within", metavar="DURATION", help="Keep names and config after leaving, e.g. 72h."
        ),
    ] = None,
    clear: Annotated[
        list[Clearable] | None,
        typer.Option("--clear", metavar="FIELD", help="Give a field back to its default; repeatable."),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Wait = DEFAULT_WAIT_S,
    idempotency_key: Key = None,
    output: Format = Output.TABLE,
    server: Server = DEFAULT_SERVER,
    token: Token = None,
) -> None:
    """Bring a team to the state described; what is left out stays as it is.

    The plan is shown before anything changes. On a terminal you are asked; in a script the command goes on
    by itself. Exit status: 0 done, 1 failed, 2 usage, 3 still running.
    """
    from orchestrator.cli.change import change
    from orchestrator.cli.views import provision_tables

    flags = {"replicas": replicas, "isolation": isolation, "sla": sla, "image": image}
    fields: dict[str, Any] = {
        "slack_channel_ids": channel or None,
        "pipeline_schedule": schedule,
        "pipeline_time_zone": time_zone,
        "deployment_mode": mode.value if mode else None,
        "dedicated": dedicated_object(dedicated, flags),
        "protected": protected,
        "restore_within": restore_within,
    }
    body = request_body(org, team, fields, [field.value for field in clear or ()])
    perform(
        change(
            "/api/v1/admin/provision/team",
            body,
            provision_tables,
            server=server,
            token=token,
            output=output,
            dry_run=dry_run,
            yes=yes,
            wait_s=wait,
            key=idempotency_key,
        )
    )


def request_body(org: str, team: str, fields: dict[str, Any], cleared: list[str]) -> dict[str, Any]:
    """The request: what was named, and `null` for what is given back to its default.

    Raises:
        typer.BadParameter: a field is both named and cleared.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if both := sorted(given.keys() & set(cleared)):
        raise typer.BadParameter(
            f"{', '.join(both)} cannot be set and cleared at once.", param_hint="--clear"
        )
    return {"org_id": org, "team_node_id": team, **given, **dict.fromkeys(cleared)}


def dedicated_object(text: str | None, flags: dict[str, Any]) -> dict[str, Any] | None:
    """The `dedicated` object from its JSON and the options for single members, which win.

    Raises:
        typer.BadParameter: the text is not a JSON object.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if text is None:
        return given or None
    try:
        base = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--dedicated") from error
    if not isinstance(base, dict):
        raise typer.BadParameter("a JSON object is needed", param_hint="--dedicated")
    return base | given
