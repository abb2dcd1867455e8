import json

import pytest
import yaml

from tests.integration.cli.conftest import PLAN, a_run, a_step, problem

SEED = ("provision", "--org", "extend", "--team", "platform-sre")
PROVISIONED = a_run(
    deployment_mode="dedicated",
    team_token="extend.platform-sre.secret",
    pipeline_cronjob={
        "name": "ai-pipeline-extend-platform-sre",
        "namespace": "incidentfox",
        "schedule": "0 2 * * *",
        "time_zone": "UTC",
    },
    dedicated_deployment={
        "name": "agent-dedicated-extend-platform-sre",
        "namespace": "incidentfox",
        "replicas": 1,
        "service_url": "http://agent-dedicated-extend-platform-sre.incidentfox.svc.cluster.local:8000",
    },
    resources=[{"kind": "CronJob", "name": "ai-pipeline-x", "namespace": "incidentfox", "action": "created"}],
    steps=[a_step("team_config")],
)


def test_only_what_was_named_is_sent(fake, cli):
    cli(
        *SEED,
        "--channel",
        "C12345",
        "--channel",
        "C2",
        "--schedule",
        "0 2 * * *",
        "--mode",
        "dedicated",
        "-y",
    )
    body, _ = fake.changes[0]
    assert body == {
        "org_id": "extend",
        "team_node_id": "platform-sre",
        "slack_channel_ids": ["C12345", "C2"],
        "pipeline_schedule": "0 2 * * *",
        "deployment_mode": "dedicated",
    }


def test_a_cleared_field_is_sent_as_null(fake, cli):
    cli(*SEED, "--clear", "pipeline_schedule", "-y")
    assert fake.changes[0][0]["pipeline_schedule"] is None


def test_a_script_sees_the_plan_and_goes_on(fake, cli):
    result = cli(*SEED)
    assert [body.get("dry_run") for body, _ in fake.changes] == [True, None]
    assert "update    Deployment agent-dedicated-extend-platform-sre" in result.stderr
    assert "spec.replicas: 1 -> 2" in result.stderr
    assert result.exit_code == 0


def test_yes_asks_for_no_plan(fake, cli):
    cli(*SEED, "--yes")
    assert len(fake.changes) == 1


def test_a_dry_run_shows_the_plan_and_changes_nothing(fake, cli):
    result = cli(*SEED, "--dry-run")
    assert [body["dry_run"] for body, _ in fake.changes] == [True]
    assert "Plan: 1 to update." in result.stdout
    assert json.loads(cli(*SEED, "--dry-run", "-o", "json").stdout) == PLAN


def test_the_answer_names_what_stands_and_the_token_once(fake, cli):
    fake.answer = PROVISIONED
    result = cli(*SEED, "-y")
    assert result.exit_code == 0
    assert result.stdout.count("extend.platform-sre.secret") == 1
    assert "ai-pipeline-extend-platform-sre (0 2 * * * UTC)" in result.stdout
    assert "http://agent-dedicated-extend-platform-sre.incidentfox.svc.cluster.local:8000" in result.stdout
    assert "secret" not in result.stderr


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_the_whole_answer_and_nothing_else(fake, cli, output, read):
    fake.answer = PROVISIONED
    assert read(cli(*SEED, "-o", output).stdout) == PROVISIONED


@pytest.mark.parametrize(
    ("status", "code"), [("succeeded", 0), ("failed", 1), ("superseded", 1), ("running", 3)]
)
def test_the_exit_status_tells_how_the_run_ended(fake, cli, status, code):
    fake.answer = a_run(status)
    assert cli(*SEED, "-y", "--wait", "1" if status != "running" else "0").exit_code == code


def test_a_run_that_goes_on_says_what_it_waits_for_and_how_to_follow_it(fake, cli):
    fake.answer = a_run("running", waiting_for="cluster")
    result = cli(*SEED, "-y", "--wait", "0")
    assert "cluster" in result.stdout
    assert "orchestrator runs watch run-1" in result.stderr
    assert fake.changes[0][1]["prefer"] == "respond-async"


def test_steps_are_told_while_the_request_still_waits(fake, cli):
    fake.answer_after_events = True
    # As the API's own answer does, it names the step too: which of both comes first, the step is told once.
    fake.answer = a_run(steps=[a_step("deployment")])
    fake.runs = [a_run("running")]
    fake.streams = [
        [("step", a_step("deployment", "running")), ("step", a_step("deployment")), ("run", a_run())]
    ]
    result = cli(*SEED, "-y", "--wait", "30")
    assert result.exit_code == 0
    assert result.stderr.count("✓ deployment") == 1
    assert fake.changes[0][1]["prefer"] == "wait=30"


def test_steps_that_no_event_told_are_told_at_the_end(fake, cli):
    fake.answer = a_run(
        "failed", error="quota", steps=[a_step("cron_job"), a_step("deployment", "failed", error="q")]
    )
    result = cli(*SEED, "-y")
    assert "✓ cron_job" in result.stderr
    assert "✗ deployment" in result.stderr
    assert result.exit_code == 1


def test_waiting_longer_than_the_api_does_follows_the_run_and_asks_again_for_the_token(fake, cli):
    fake.answer = a_run("running", team_token=None)
    fake.later_answer = a_run(team_token="minted")
    fake.runs = [a_run("running")]
    fake.streams = [[("run", a_run())]] * 3
    result = cli(*SEED, "-y", "--wait", "600", "-o", "json")
    assert json.loads(result.stdout) == a_run(team_token="minted")
    assert [headers["prefer"] for _, headers in fake.changes] == ["wait=120", "respond-async"]
    assert len({headers["idempotency-key"] for _, headers in fake.changes}) == 1


def test_the_idempotency_key_is_the_callers_or_a_new_one(fake, cli):
    cli(*SEED, "-y", "--idempotency-key", "mine")
    cli(*SEED, "-y")
    assert fake.changes[0][1]["idempotency-key"] == "mine"
    assert len(fake.changes[1][1]["idempotency-key"]) == 36


def test_a_refusal_is_one_message_with_each_field_to_blame(fake, cli):
    errors = [{"field": "dedicated.replicas", "message": "must be at most 50"}]
    fake.answer = problem(
        422, "invalid", "The request is not valid.", errors=errors, provisioning_run_id="run-9"
    )
    result = cli(*SEED, "--replicas", "51")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "error: The request is not valid. (422 invalid)",
        "  dedicated.replicas: must be at most 50",
        "  See what happened: orchestrator runs get run-9",
    ]


def test_text_of_the_server_is_never_taken_for_markup(fake, cli):
    fake.answer = problem(409, "resource_owned_by_another", "CronJob [bold]x[/] is :fire: another's.")
    assert "CronJob [bold]x[/] is :fire: another's." in cli(*SEED).stderr


@pytest.mark.parametrize(
    "words",
    [
        ("provision", "--org", "extend"),
        (*SEED, "--mode", "purple"),
        (*SEED, "--dedicated", "{"),
        (*SEED, "--dedicated", "[]"),
        (*SEED, "--schedule", "@daily", "--clear", "pipeline_schedule"),
        (*SEED, "--wait", "-1"),
        (*SEED, "--server", "nowhere"),
    ],
)
def test_wrong_usage_is_2_and_asks_nothing_of_the_server(fake, cli, words):
    assert cli(*words).exit_code == 2
    assert fake.changes == []


def test_deprovisioning_tells_what_went_what_was_missing_and_what_was_kept(fake, cli):
    objects = {
        "deleted": [{"kind": "CronJob", "name": "ai-pipeline-x", "namespace": "incidentfox"}],
        "not_found": [{"kind": "Deployment", "name": "agent-x", "namespace": "incidentfox"}],
        "kept": [],
    }
    fake.answer = a_run(kind="deprovision", **objects)
    result = cli("deprovision", "--org", "extend", "--team", "platform-sre", "--delete-config", "-y")
    assert fake.changes[0][0] == {
        "org_id": "extend",
        "team_node_id": "platform-sre",
        "delete_k8s_resources": True,
        "delete_config": True,
    }
    assert [line.split() for line in result.stdout.splitlines()[-2:]] == [
        ["CronJob", "ai-pipeline-x", "incidentfox", "deleted"],
        ["Deployment", "agent-x", "incidentfox", "not", "found"],
    ]


def test_no_plan_to_be_had_says_how_to_go_on_without_one(fake, cli):
    fake.answer = problem(
        503, "unavailable", "The cluster is not available at the moment; nothing was changed."
    )
    assert "--yes" in cli(*SEED).stderr
