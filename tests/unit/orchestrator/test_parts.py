"""Small decisions: conditions, pauses, a run by hand, a changed spec, what a caller prefers, replicas handed over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.api.provision import one_key, wanted_wait_s
from orchestrator.domain.conditions import Condition, ConditionType, Reason, merged
from orchestrator.domain.labels import check_value
from orchestrator.domain.manifests import Platform
from orchestrator.domain.naming import claim
from orchestrator.domain.pipeline_run import job_from_cronjob
from orchestrator.domain.rollout import replicas_to_hand_over
from orchestrator.domain.team import Dedicated, Mode, Resources, TeamKey, TeamSpec
from orchestrator.domain.wanted import wanted_objects
from orchestrator.reconciler.backoff import BUSY_CAP_S, CAP_S, backoff_s
from orchestrator.store.codec import dump_spec
from orchestrator.usecases.change import changed_spec
from servicekit.problems import Invalid
from tests.strategies import specs, team_keys

EARLIER = datetime(2030, 1, 1, tzinfo=UTC)
NOW = EARLIER + timedelta(hours=1)
READY = Condition(
    type=ConditionType.READY,
    status="True",
    reason=Reason.AGENT_AVAILABLE,
    message="",
    observed_generation=1,
    last_transition_time=EARLIER,
)


def test_a_condition_that_stays_keeps_its_time_and_takes_the_rest():
    new = replace(
        READY, reason=Reason.SERVED_BY_SHARED_AGENT, observed_generation=2, last_transition_time=NOW
    )
    assert merged([READY], [new]) == (replace(new, last_transition_time=EARLIER),)


def test_a_condition_that_turns_has_the_time_of_the_turn():
    new = replace(READY, status="False", last_transition_time=NOW)
    assert merged([READY], [new]) == (new,)
    assert merged([], [new]) == (new,)


def test_a_condition_that_nobody_states_any_more_is_gone():
    assert merged([READY], []) == ()


@given(st.integers(1, 10_000), st.floats(0, 1), st.booleans())
def test_pauses_have_bounds(failures: int, jitter: float, busy: bool):
    pause = backoff_s(failures, jitter=jitter, busy=busy)
    assert 0.25 <= pause <= (BUSY_CAP_S if busy else CAP_S)


@given(st.integers(1, 100), st.floats(0, 1))
def test_pauses_never_shrink_and_respect_what_the_other_side_asked(failures: int, jitter: float):
    assert backoff_s(failures + 1, jitter=jitter) >= backoff_s(failures, jitter=jitter)
    assert backoff_s(failures, jitter=jitter, at_least_s=300) == 300


def test_jitter_spreads_the_upper_half():
    assert backoff_s(3, jitter=0) == 1.0
    assert backoff_s(3, jitter=1) == 2.0


PLATFORM = Platform(
    agent_image="agent:1", pipeline_image="pipeline:1", config_service_url="http://config:8081"
)


@given(team_keys())
def test_a_run_by_hand_is_the_cronjobs_own_job(key: TeamKey):
    objects = wanted_objects(key, TeamSpec(pipeline_schedule="@daily"), claim(key, lambda _: False), PLATFORM)
    cronjob = next(obj for obj in objects if obj["kind"] == "CronJob")
    cronjob["metadata"]["uid"] = "u1"

    job = job_from_cronjob(cronjob, suffix="0123abcd")

    assert check_value(job["metadata"]["name"]) is None
    assert job["metadata"]["name"].endswith("-0123abcd")
    assert job["metadata"]["namespace"] == cronjob["metadata"]["namespace"]
    assert job["spec"] == cronjob["spec"]["jobTemplate"]["spec"]
    assert job["metadata"]["labels"] == cronjob["spec"]["jobTemplate"]["metadata"]["labels"]
    assert job["metadata"]["annotations"] == {"cronjob.kubernetes.io/instantiate": "manual"}
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("CronJob", "u1", True)


@given(specs())
def test_no_field_changes_nothing(spec: TeamSpec):
    same = changed_spec(spec, {})
    assert changed_spec(same, {}) == same
    assert replace(same, dedicated=spec.dedicated) == spec


@given(specs(), specs())
def test_all_fields_replace_all(before: TeamSpec, after: TeamSpec):
    fields = dump_spec(changed_spec(after, {}))
    # A field of `dedicated` that is left out stays, so that each is named.
    assert dump_spec(changed_spec(before, fields)) == fields


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"slack_channel_ids": None}, {"slack_channel_ids": ()}),
        ({"pipeline_schedule": None}, {"pipeline_schedule": None}),
        ({"pipeline_time_zone": None}, {"pipeline_time_zone": "UTC"}),
        ({"deployment_mode": None}, {"deployment_mode": Mode.SHARED, "dedicated": None}),
        ({"deployment_mode": "shared"}, {"deployment_mode": Mode.SHARED, "dedicated": None}),
        ({"dedicated": None}, {"dedicated": Dedicated()}),
        ({"dedicated": {"replicas": None}}, {"dedicated": Dedicated(image="agent:2")}),
        ({"dedicated": {"image": None}}, {"dedicated": Dedicated(replicas=3)}),
        (
            {"dedicated": {"resources": {"limits": {"cpu": "1"}}}},
            {"dedicated": Dedicated(replicas=3, image="agent:2", resources=Resources(limits={"cpu": "1"}))},
        ),
        ({"protected": None}, {"protected": False}),
        ({"restore_within": None}, {"restore_within": None}),
    ],
)
def test_null_clears_and_what_is_left_out_stays(fields: dict[str, Any], expected: dict[str, Any]):
    before = TeamSpec(
        slack_channel_ids=("C1",),
        pipeline_schedule="@daily",
        pipeline_time_zone="Europe/Paris",
        deployment_mode=Mode.DEDICATED,
        dedicated=Dedicated(replicas=3, image="agent:2"),
        protected=True,
        restore_within="72h",
    )
    assert changed_spec(before, fields) == replace(before, **expected)


def test_every_mistake_of_a_change_is_named():
    fields = {"pipeline_schedule": "never", "dedicated": {"replicas": 3}}
    with pytest.raises(Invalid) as error:
        changed_spec(TeamSpec(), fields)
    assert [item["field"] for item in error.value.errors] == ["pipeline_schedule", "dedicated"]


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 30),
        ("", 30),
        ("handling=lenient", 30),
        ("wait=0", 0),
        ("wait=120", 120),
        ("Wait = 5", 5),
        ("handling=lenient, wait=7", 7),
        ("respond-async", 0),
        ("respond-async, wait=100", 0),
        ("Respond-Async", 0),
    ],
)
def test_what_a_caller_prefers(prefer: str | None, seconds: float):
    assert wanted_wait_s(prefer) == seconds


@pytest.mark.parametrize(
    "prefer", ["wait", "wait=", "wait=121", "wait=-1", "wait=1.5", "wait=abc", "wait=12345"]
)
def test_a_wait_that_is_none_is_refused(prefer: str):
    with pytest.raises(Invalid):
        wanted_wait_s(prefer)


def test_an_idempotency_key_stands_in_either_place():
    assert one_key(None, None) is None
    assert one_key("a", None) == one_key(None, "a") == one_key("a", "a") == "a"
    with pytest.raises(Invalid):
        one_key("a", "b")


def deployment(manager: str = "orchestrator") -> dict[str, Any]:
    fields = {"f:spec": {"f:replicas": {}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "agent",
            "namespace": "n",
            "managedFields": [{"manager": manager, "fieldsV1": fields}],
        },
        "spec": {"replicas": 5},
    }


def test_replicas_of_ours_are_handed_over_as_they_are():
    wanted = deployment() | {"spec": {}}
    part = replicas_to_hand_over(wanted, deployment())
    assert part is not None
    assert part["spec"] == {"replicas": 5}
    assert part["metadata"] == {"name": "agent", "namespace": "n"}


def test_replicas_that_are_not_ours_or_stay_ours_are_left_alone():
    assert replicas_to_hand_over(deployment() | {"spec": {}}, deployment("autoscaler")) is None
    assert replicas_to_hand_over(deployment(), deployment()) is None
    assert replicas_to_hand_over({"kind": "Service", "spec": {}}, deployment()) is None
