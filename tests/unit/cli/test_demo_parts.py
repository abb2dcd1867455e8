import socket
from pathlib import Path

import pytest

from orchestrator.cli.children import tail
from orchestrator.cli.demo_parts import Layout, own_environment
from orchestrator.cli.demo_story import pipeline_summary
from orchestrator.cli.failure import Failure
from orchestrator.cli.kubectl import table_text


def test_settings_of_another_installation_and_proxies_do_not_reach_the_demo():
    environment = {
        "ORCHESTRATOR_DATABASE_URL": "postgresql://production",
        "CONFIG_SERVICE_URL": "http://production",
        "KUBECONFIG": "/production",
        "HTTPS_PROXY": "http://proxy",
        "PATH": "/usr/bin",
    }
    assert own_environment(environment) == {"PATH": "/usr/bin"}


def test_where_code_is_found_does_not_depend_on_the_folder():
    assert own_environment({"PYTHONPATH": "src"}) == {"PYTHONPATH": str(Path("src").absolute())}


def test_the_admin_token_is_kept_for_its_owner_alone(tmp_path):
    first = Layout.prepare(tmp_path, None)
    second = Layout.prepare(tmp_path, None)
    assert first.admin_token == second.admin_token == first.token_file.read_text().strip()
    assert first.token_file.stat().st_mode & 0o777 == 0o600


def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Failure, match="is taken"):
            Layout.prepare(tmp_path, taken.getsockname()[1])


@pytest.mark.parametrize(
    ("log", "text"),
    [
        (
            'reading\n{"learned": 5, "threads_seen": 9, "channels": ["C1"]}\n',
            "The pipeline learned 5 entries from 9 threads in C1",
        ),
        ("something else", "something else"),
        ('{"learned": 5}', '{"learned": 5}'),
        ("[]", "[]"),
        ("", "The pipeline wrote no log."),
    ],
)
def test_what_was_learned_is_told_from_the_last_line_of_the_log(log, text):
    assert pipeline_summary(log) == text


def test_a_table_without_rows_is_empty():
    assert table_text({"columnDefinitions": [{"name": "Name"}]}) == ""


def test_the_end_of_a_log_is_shown_whatever_bytes_it_holds(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"one\ntwo \xff\nthree\n")
    assert tail(log, 2) == ("two \N{REPLACEMENT CHARACTER}", "three")
    assert tail(tmp_path / "none") == ()
