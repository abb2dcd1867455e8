from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.failure import from_problem
from orchestrator.cli.output import age, duration
from orchestrator.cli.provision import dedicated_object, request_body
from orchestrator.cli.start import variable
from orchestrator.cli.views import error_text, plan_tables, summary_of_plan

NOW = datetime(2026, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, None),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (125_000, "2 m 5 s"),
        (7_500_000, "2 h 5 m"),
    ],
)
def test_durations_read_as_people_say_them(milliseconds, text):
    assert duration(milliseconds) == text


@pytest.mark.parametrize(
    ("past", "text"),
    [
        (timedelta(seconds=5), "5s"),
        (timedelta(minutes=3), "3m"),
        (timedelta(hours=2), "2h"),
        (timedelta(9), "9d"),
    ],
)
def test_ages_are_told_in_their_largest_unit(past, text):
    assert age((NOW - past).isoformat(), NOW) == text


def test_a_clock_that_is_behind_never_gives_a_negative_age():
    assert age((NOW + timedelta(minutes=1)).isoformat(), NOW) == "0s"


def test_a_time_without_a_zone_is_utc():
    assert age("2026-01-09T00:00:00", NOW) == "1d"


@given(
    st.dictionaries(
        st.text(), st.none() | st.integers() | st.text() | st.lists(st.dictionaries(st.text(), st.text()))
    )
)
def test_any_problem_document_becomes_a_message(problem):
    if not isinstance(problem.get("errors"), list | None):
        problem.pop("errors")
    assert from_problem(400, problem).message


def test_fields_that_the_sentence_tells_too_are_told_once():
    errors = [{"field": "a", "message": "is wrong"}, {"field": "b", "message": "too"}]
    failure = from_problem(422, {"detail": "Not valid: a: is wrong; b: too", "errors": errors})
    assert (failure.message, failure.hints) == ("Not valid (422)", ("a: is wrong", "b: too"))


def test_the_plan_is_summed_up_in_one_line():
    plan = [{"action": action} for action in ("create", "create", "delete", "unchanged")]
    assert summary_of_plan(plan) == "Plan: 2 to create, 1 to delete, 1 unchanged."
    assert summary_of_plan([]) == "Plan: nothing to do."


def test_each_change_is_told_from_what_to_what():
    change = {"path": "spec.schedule", "from": None, "to": "0 2 * * *"}
    item = {"kind": "CronJob", "name": "x", "namespace": "n", "action": "update", "changes": [change]}
    assert [str(part) for part in plan_tables([item])] == [
        "~ update    CronJob x in n",
        '      spec.schedule: (none) -> "0 2 * * *"',
        "Plan: 1 to update.",
    ]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, None),
        ("", None),
        ("quota", "quota"),
        ({"detail": "d"}, "d"),
        ({"message": "m"}, "m"),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_errors_of_runs_are_one_line(error, text):
    assert error_text(error) == text


def test_options_for_single_members_win_over_the_json():
    assert dedicated_object('{"replicas": 1, "image": "a"}', {"replicas": 2, "sla": None}) == {
        "replicas": 2,
        "image": "a",
    }


def test_no_dedicated_option_at_all_leaves_the_field_out():
    fields = {"dedicated": dedicated_object(None, {"replicas": None})}
    assert request_body("o", "t", fields, []) == {"org_id": "o", "team_node_id": "t"}


def test_settings_are_named_by_their_variable():
    assert variable(("port",), "ORCHESTRATOR_") == "ORCHESTRATOR_PORT"
    assert variable(("CONFIG_SERVICE_URL",), "ORCHESTRATOR_") == "CONFIG_SERVICE_URL"
    assert variable((), "ORCHESTRATOR_") == "settings"
