import json
import socket

import pytest

from tests.integration.cli.conftest import TOKEN, a_run, a_step, a_team


def test_teams_are_listed_a_line_each_through_every_page(fake, cli):
    fake.teams = [a_team(team_node_id=f"team-{number}") for number in range(5)]
    lines = cli("teams", "list").stdout.splitlines()
    assert lines[0].split() == ["ORG", "TEAM", "MODE", "READY", "REASON", "PIPELINE"]
    assert [line.split()[1] for line in lines[1:]] == [f"team-{number}" for number in range(5)]


def test_a_limit_stops_the_list(fake, cli):
    fake.teams = [a_team(team_node_id=f"team-{number}") for number in range(5)]
    teams = json.loads(cli("teams", "list", "--limit", "3", "-o", "json").stdout)["items"]
    assert [team["team_node_id"] for team in teams] == ["team-0", "team-1", "team-2"]


def test_teams_are_filtered_by_the_server(fake, cli):
    fake.teams = [a_team(), a_team(team_node_id="other", deployment_mode="shared")]
    assert "platform-sre" not in cli("teams", "list", "--mode", "shared").stdout


def test_long_names_are_never_cut_when_a_program_reads_them(fake, cli):
    fake.teams = [a_team(org_id="o" * 63, team_node_id="t" * 63)]
    assert "t" * 63 in cli("teams", "list").stdout


def test_one_team_shows_conditions_and_objects(fake, cli):
    fake.teams = [a_team()]
    shown = cli("teams", "get", "extend", "platform-sre").stdout
    assert "AllAvailable" in shown
    assert "agent-dedicated-extend-platform-sre" in shown
    assert '{"replicas": 1}' in shown


def test_a_team_that_is_not_there_is_a_message(cli):
    result = cli("teams", "get", "extend", "nobody")
    assert result.exit_code == 1
    assert "(404 not_found)" in result.stderr


def test_runs_are_listed_and_filtered(fake, cli):
    fake.runs = [a_run("failed", provisioning_run_id="run-2"), a_run()]
    lines = cli("runs", "list", "--status", "failed").stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("run-2")


def test_one_run_shows_its_steps(fake, cli):
    fake.runs = [
        a_run("failed", error={"detail": "quota"}, steps=[a_step("deployment", "failed", error="quota")])
    ]
    result = cli("runs", "get", "run-1")
    assert "deployment   failed   12 ms   quota" in result.stdout
    assert result.exit_code == 0


def test_watching_ends_with_the_run(fake, cli):
    fake.runs = [a_run("running")]
    fake.streams = [[("step", a_step("service")), ("run", a_run("failed"))]]
    result = cli("runs", "watch", "run-1")
    assert "✓ service" in result.stderr
    assert result.exit_code == 1


def test_a_stream_that_breaks_is_taken_up_again(fake, cli):
    fake.runs = [a_run("running")]
    fake.streams = [[("step", a_step("service"))], [("step", a_step("service")), ("run", a_run())]]
    result = cli("runs", "watch", "run-1")
    assert result.stderr.count("✓ service") == 1
    assert result.exit_code == 0


def test_a_watch_that_runs_out_of_time_is_3(fake, cli):
    fake.runs = [a_run("running")]
    assert cli("runs", "watch", "run-1", "--wait", "1").exit_code == 3


def test_the_token_is_found_in_the_data_folder(cli, tmp_path):
    (tmp_path / "admin-token").write_text(TOKEN + "\n")
    assert cli("teams", "list", ORCHESTRATOR_ADMIN_TOKEN=None).exit_code == 0


def test_no_token_at_all_says_where_one_is_looked_for(cli, tmp_path):
    result = cli("teams", "list", ORCHESTRATOR_ADMIN_TOKEN=None)
    assert result.exit_code == 1
    assert str(tmp_path / "admin-token") in result.stderr
    assert "--token" in result.stderr


def test_a_wrong_token_says_how_to_name_another(cli):
    result = cli("teams", "list", "--token", "wrong")
    assert result.exit_code == 1
    assert "401 unauthorized" in result.stderr
    assert "--token" in result.stderr


def test_nobody_there_says_what_to_do(cli):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        result = cli("teams", "list", "--server", f"http://127.0.0.1:{free.getsockname()[1]}")
    assert result.exit_code == 1
    assert "orchestrator serve" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "words", [("-h",), ("provision", "-h"), ("teams", "-h"), ("demo", "-h"), ("--version",)]
)
def test_help_needs_no_server(cli, words):
    assert cli(*words).exit_code == 0


def test_a_wrong_setting_stops_the_start_with_a_line_that_names_it(cli):
    result = cli("serve", ORCHESTRATOR_PORT="eighty")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ORCHESTRATOR_PORT: ")
    assert len(result.stderr.splitlines()) == 1
