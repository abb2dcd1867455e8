"""The command line of the job: argparse, since a job that starts in a tenth of a second ends sooner."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx2
import stamina
from stamina.instrumentation import RetryDetails

from ai_pipeline.config_service import ConfigService, Retry
from ai_pipeline.errors import PipelineFailed
from ai_pipeline.pipeline import Pipeline
from ai_pipeline.slack_export import SlackExport

#: Seconds to connect, and to wait for each answer.
TIMEOUT = httpx2.Timeout(30.0, connect=5.0)


def main(
    arguments: Sequence[str] | None = None,
    environment: Mapping[str, str] = os.environ,
    retry: Retry | None = None,
) -> int:
    """Run a command; 0 when it did its work, 1 when it could not, 2 when it was called wrongly."""
    options = _parser().parse_args(arguments)
    stamina.instrumentation.set_on_retry_hooks([_say_retry])
    try:
        return _run_scheduled(options, environment, retry)
    except PipelineFailed as failure:
        sys.stderr.write(f"ai_pipeline: {failure}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ai_pipeline",
        description="Learns from a team's Slack conversations.",
        epilog="Environment: CONFIG_SERVICE_URL, TEAM_TOKEN_FILE, SLACK_EXPORT_DIR.",
    )
    commands = parser.add_subparsers(title="commands", required=True)
    run = commands.add_parser("run-scheduled", help="learn what was resolved since the last run")
    run.add_argument("--org-id", required=True, help="the team's organisation")
    run.add_argument("--team-id", required=True, help="the team's node")
    run.add_argument(
        "--export-dir", type=Path, help="folder of the Slack export, instead of SLACK_EXPORT_DIR"
    )
    return parser


def _run_scheduled(options: argparse.Namespace, environment: Mapping[str, str], retry: Retry | None) -> int:
    base_url = _required(environment, "CONFIG_SERVICE_URL")
    token_file = Path(_required(environment, "TEAM_TOKEN_FILE"))
    export_dir = options.export_dir or Path(_required(environment, "SLACK_EXPORT_DIR"))
    try:
        http = httpx2.Client(base_url=base_url, timeout=TIMEOUT)
    except httpx2.InvalidURL as error:
        raise PipelineFailed(f"CONFIG_SERVICE_URL is not an address: {error}") from error
    with http:
        pipeline = Pipeline(
            config_service=ConfigService(http, lambda: _read_token(token_file), retry),
            open_export=lambda: SlackExport(export_dir),
            say=_say,
        )
        summary = pipeline.run(org_id=options.org_id, team_node_id=options.team_id)
    _say(json.dumps(summary.as_json()))
    return 0


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise PipelineFailed(f"{name} is not set")
    return value


def _read_token(file: Path) -> str:
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise PipelineFailed(f"TEAM_TOKEN_FILE cannot be read: {file}") from error
    if not token or not token.isprintable():
        raise PipelineFailed(f"TEAM_TOKEN_FILE holds no token: {file}")
    return token


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _say_retry(details: RetryDetails) -> None:
    reason = type(details.caused_by).__name__
    _say(f"the Config Service is away ({reason}); trying again in {details.wait_for:.1f} s")
