"""The job from its command line, against a Config Service in another process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.agent_runtime.fake_config_service import FakeConfigService
from tests.integration.ai_pipeline.conftest import TOKEN, Job

LATEST = "1772623800.000200"


def add_messages(
    export: Path, day: str, *messages: dict[str, Any], channel: str = "platform-incidents"
) -> None:
    (export / channel).mkdir(exist_ok=True)
    (export / channel / f"{day}.json").write_text(json.dumps(messages))


def message(ts: str, text: str, thread_ts: str | None = None, **fields: Any) -> dict[str, Any]:
    thread = {"thread_ts": thread_ts} if thread_ts else {}
    return {"type": "message", "ts": ts, "user": "U01MAYA", "text": text} | thread | fields


def test_learns_the_resolved_threads_of_the_teams_channel(
    job: Job, config_service: FakeConfigService
) -> None:
    run = job.run()

    assert run.status == 0
    assert run.summary == {
        "learned": 5,
        "updated": 0,
        "unchanged": 0,
        "threads_seen": 8,
        "channels": ["C12345"],
        "missing_channels": [],
        "malformed_files": 0,
        "malformed_messages": 0,
    }
    learned = config_service.knowledge(TOKEN)
    assert [entry["title"].split(":")[0].split(" ")[0] for entry in learned] == [
        "Payment",
        "Disk",
        "Expired",
        "Kafka",
        "Pods",
    ]
    assert all(entry["id"] == f"slack-C12345-{entry['source']['thread_ts']}" for entry in learned)
    assert learned[0]["source"]["channel_name"] == "platform-incidents"
    assert "9f8e7d6c5b4a39281706" not in json.dumps(learned)
    assert "api_token=[redacted]" in learned[2]["answer"]
    assert config_service.checkpoint(TOKEN) == {"channels": {"C12345": LATEST}}


def test_a_second_run_learns_nothing_new(job: Job, config_service: FakeConfigService) -> None:
    job.run()
    before = config_service.knowledge(TOKEN)
    run = job.run()
    assert run.status == 0
    assert run.summary["learned"] == run.summary["updated"] == run.summary["threads_seen"] == 0
    assert config_service.knowledge(TOKEN) == before


def test_an_old_thread_with_a_new_reply_is_looked_at_again(
    job: Job, config_service: FakeConfigService, export: Path
) -> None:
    job.run()
    add_messages(
        export, "2026-03-05", message("1772700000.000100", "Resolved: it was the cache.", "1772469000.000100")
    )
    run = job.run()
    assert (run.summary["learned"], run.summary["threads_seen"]) == (1, 1)
    [entry] = [
        entry for entry in config_service.knowledge(TOKEN) if entry["id"].endswith("1772469000.000100")
    ]
    assert entry["answer"] == "Maya: Resolved: it was the cache."
    assert config_service.checkpoint(TOKEN) == {"channels": {"C12345": "1772700000.000100"}}


def test_a_resolved_thread_with_a_better_explanation_is_updated(
    job: Job, config_service: FakeConfigService, export: Path
) -> None:
    job.run()
    [kafka] = [entry for entry in config_service.knowledge(TOKEN) if entry["title"].startswith("Kafka lag")]
    thread_ts = kafka["source"]["thread_ts"]
    add_messages(
        export,
        "2026-03-05",
        message("1772700000.000100", "Thanks everybody!", thread_ts),
        message("1772700001.000100", "Root cause: we keyed by merchant.", thread_ts),
    )
    run = job.run()
    assert (run.summary["learned"], run.summary["updated"], run.summary["unchanged"]) == (0, 1, 0)
    [updated] = [entry for entry in config_service.knowledge(TOKEN) if entry["id"] == kafka["id"]]
    assert updated["answer"] == kafka["answer"] + "\nMaya: Root cause: we keyed by merchant."
    assert updated["learned_from_ts"] == "1772700001.000100"


def test_killed_between_learning_and_checkpoint_the_next_run_only_repeats(
    job: Job, config_service: FakeConfigService
) -> None:
    config_service.hold("PUT", "/api/v1/config/me/checkpoints/slack")
    command = [sys.executable, "-m", "ai_pipeline", "run-scheduled", "--org-id", "extend", "--team-id"]
    process = subprocess.Popen(
        [*command, "platform-sre"], env=os.environ | {"PYTHONPATH": "src"} | job.environment
    )
    config_service.wait_until_somebody_waits()
    process.kill()
    assert process.wait() == -signal.SIGKILL
    after_the_kill = config_service.knowledge(TOKEN)
    assert len(after_the_kill) == 5

    config_service.release()
    run = job.run()

    assert (run.summary["learned"], run.summary["unchanged"], run.summary["threads_seen"]) == (0, 5, 8)
    assert config_service.knowledge(TOKEN) == after_the_kill
    assert config_service.checkpoint(TOKEN) == {"channels": {"C12345": LATEST}}


def test_folders_of_other_channels_are_never_opened(job: Job, config_service: FakeConfigService) -> None:
    opened: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in {"open", "os.listdir", "os.scandir"}:
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)
    run = job.run()
    watching = False

    assert run.summary["channels"] == ["C12345"]
    assert any("platform-incidents" in path for path in opened)
    assert not any("data-warehouse" in path for path in opened)
    assert all(entry["source"]["channel"] == "C12345" for entry in config_service.knowledge(TOKEN))


def test_the_token_of_another_team_ends_the_run_before_anything_is_read(
    job: Job, config_service: FakeConfigService
) -> None:
    for org_id, team_id in (("extend", "other"), ("other", "platform-sre")):
        run = job.run(org_id=org_id, team_id=team_id)
        assert run.status == 1
        assert f"not that of team {org_id}/{team_id}" in run.error
        assert len(run.error.splitlines()) == 1
    assert set(config_service.calls()) == {"GET /api/v1/auth/me"}


def test_a_token_that_is_not_known_ends_the_run(job: Job, token_file: Path) -> None:
    token_file.write_text("t-unknown")
    run = job.run()
    assert run.status == 1
    assert "does not accept the token" in run.error


def test_an_admins_token_is_no_teams_token(
    job: Job, config_service: FakeConfigService, token_file: Path
) -> None:
    token_file.write_text(config_service.add_admin("t-admin"))
    assert job.run().status == 1


@pytest.mark.parametrize(
    ("fault", "retry_after"), [(500, None), (503, "0"), (429, "0"), (502, "Wed, 21 Oct 2026 07:28:00 GMT")]
)
def test_a_config_service_that_stumbles_is_asked_again(
    job: Job, config_service: FakeConfigService, fault: int, retry_after: str | None
) -> None:
    for call in (
        "GET /api/v1/auth/me",
        "GET /api/v1/config/me/effective",
        "POST /api/v1/config/me/knowledge",
    ):
        config_service.fail_once(*call.split(), fault, retry_after)
    config_service.fail_once("PUT", "/api/v1/config/me/checkpoints/slack", fault, retry_after)
    config_service.fail_once("GET", "/api/v1/config/me/checkpoints/slack", fault, retry_after)
    run = job.run()
    assert run.status == 0
    assert run.summary["learned"] == 5
    assert sum("trying again" in line for line in run.lines) == 5


def test_a_config_service_that_stays_away_ends_the_run(job: Job, config_service: FakeConfigService) -> None:
    config_service.go_away()
    run = job.run()
    assert run.status == 1
    assert "503" in run.error
    job.environment["CONFIG_SERVICE_URL"] = "http://127.0.0.1:9"
    run = job.run()
    assert run.status == 1
    assert "does not answer" in run.error
    job.environment["CONFIG_SERVICE_URL"] = "config-service:8081"
    run = job.run()
    assert run.status == 1
    assert not any("trying again" in line for line in run.lines), "a wrong address stays wrong"


def test_malformed_files_and_messages_are_reported_and_tried_again(job: Job, export: Path) -> None:
    broken = export / "platform-incidents" / "2026-03-03.json"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:500])
    strange = [
        7,
        None,
        [],
        {"ts": 5},
        {"ts": "x"},
        {"ts": "1772700000.0", "text": 5},
        message("9.9", "\ud800\x00"),
    ]
    (export / "platform-incidents" / "2026-03-05.json").write_text(json.dumps(strange))
    (export / "platform-incidents" / "notes.txt").write_text("not a day")

    run = job.run()

    assert run.status == 0
    assert (run.summary["malformed_files"], run.summary["malformed_messages"]) == (1, 6)
    assert run.summary["learned"] == 3
    assert any("platform-incidents/2026-03-03.json is unreadable" in line for line in run.lines)
    broken.write_bytes(whole)
    assert job.run().summary["learned"] == 2, "nothing of the mended day may be lost"


def test_a_channel_that_the_export_does_not_hold_is_reported(
    job: Job, config_service: FakeConfigService
) -> None:
    config = {"routing": {"slack_channel_ids": ["C77777", "C12345", "C12345"]}}
    config_service.add_team("extend", "platform-sre", TOKEN, config)
    run = job.run()
    assert run.status == 0
    assert (run.summary["channels"], run.summary["missing_channels"]) == (["C12345"], ["C77777"])
    assert "C77777: not in the export" in run.lines


def test_a_team_without_channels_reads_nothing(job: Job, config_service: FakeConfigService) -> None:
    config_service.add_team("extend", "platform-sre", TOKEN, {})
    job.environment["SLACK_EXPORT_DIR"] = "/nonexistent"
    run = job.run()
    assert run.status == 0
    assert run.summary["channels"] == []


def test_a_channel_name_cannot_lead_out_of_the_export(job: Job, export: Path) -> None:
    secret = export.parent / "elsewhere"
    secret.mkdir()
    add_messages(export.parent, "2026-03-01", message("1.1", "x"), channel="elsewhere")
    (export / "channels.json").write_text(json.dumps([{"id": "C12345", "name": "../elsewhere"}]))
    assert job.run().summary["missing_channels"] == ["C12345"]


def test_more_entries_than_one_request_carries_are_sent_in_portions(
    job: Job, config_service: FakeConfigService, export: Path
) -> None:
    messages = []
    for number in range(450):
        root = f"1773000{number:03}.000100"
        messages += [
            message(root, f"Incident {number}"),
            message(f"1773000{number:03}.000200", "Fixed.", root),
        ]
    add_messages(export, "2026-03-09", *messages)
    run = job.run()
    assert run.summary["learned"] == 455
    assert config_service.calls().count("POST /api/v1/config/me/knowledge") == 3


@pytest.mark.parametrize("name", ["CONFIG_SERVICE_URL", "TEAM_TOKEN_FILE", "SLACK_EXPORT_DIR"])
def test_what_is_not_set_is_named(job: Job, name: str) -> None:
    del job.environment[name]
    run = job.run()
    assert (run.status, run.error) == (1, f"ai_pipeline: {name} is not set\n")


def test_things_that_are_not_there_are_named(job: Job, token_file: Path, export: Path) -> None:
    run = job.run("--export-dir", str(export / "nowhere"))
    assert (run.status, "not a Slack export" in run.error) == (1, True)
    token_file.unlink()
    run = job.run()
    assert (run.status, "TEAM_TOKEN_FILE cannot be read" in run.error) == (1, True)


def test_a_token_that_is_rotated_during_the_run_is_taken_up(
    job: Job, config_service: FakeConfigService, token_file: Path
) -> None:
    config_service.hold("POST", "/api/v1/config/me/knowledge")
    process = subprocess.Popen(
        [sys.executable, "-m", "ai_pipeline", "run-scheduled", "--org-id=extend", "--team-id=platform-sre"],
        env=os.environ | {"PYTHONPATH": "src"} | job.environment,
    )
    config_service.wait_until_somebody_waits()
    config = {"routing": {"slack_channel_ids": ["C12345"]}}
    token_file.write_text(config_service.add_team("extend", "platform-sre", "t-rotated", config))
    config_service.release()
    assert process.wait(timeout=30) == 0
    assert config_service.checkpoint("t-rotated") == {"channels": {"C12345": LATEST}}
