from typing import Any

import pytest
from hypothesis import given

from orchestrator.domain.manifests import Platform
from orchestrator.domain.naming import claim
from orchestrator.domain.objects import (
    MANIFEST_HASH_ANNOTATION,
    TOKEN_ID_ANNOTATION,
    Manifest,
    Ref,
    with_hash,
)
from orchestrator.domain.plan import WAVES, Action, Change, NotOurs, differences, plan, shown_changes
from orchestrator.domain.team import Dedicated, Mode, TeamKey, TeamSpec
from orchestrator.domain.wanted import wanted_objects
from tests.strategies import specs, team_keys

KEY = TeamKey("extend", "platform-sre")
PLATFORM = Platform(
    agent_image="agent:1", pipeline_image="pipeline:1", config_service_url="http://config:8081"
)


def wanted_of(key: TeamKey, spec: TeamSpec) -> list[Manifest]:
    return wanted_objects(key, spec, claim(key, lambda _: False), PLATFORM)


def live(manifest: Manifest, **metadata: Any) -> Manifest:
    """The object as a cluster would have it."""
    applied = with_hash(manifest)
    annotations = applied["metadata"]["annotations"]
    if manifest["kind"] == "Secret":
        annotations = annotations | {TOKEN_ID_ANNOTATION: "t1"}
        applied = applied | {"data": {"token": "c2VjcmV0"}}
    return applied | {"metadata": applied["metadata"] | {"uid": "u1", "annotations": annotations} | metadata}


def by_ref(objects: list[Manifest]) -> dict[Ref, Manifest | None]:
    return {Ref.of(obj): obj for obj in objects}


def the(kind: str, objects: list[Manifest]) -> Manifest:
    return next(obj for obj in objects if obj["kind"] == kind)


DEDICATED = TeamSpec(pipeline_schedule="@daily", deployment_mode=Mode.DEDICATED, dedicated=Dedicated())


@given(team_keys(), specs())
def test_nothing_there_means_everything_is_created_in_order(key: TeamKey, spec: TeamSpec):
    wanted = wanted_of(key, spec)
    planned = plan(key, wanted=wanted, live={})

    assert [item.ref for item in planned.applies] == [Ref.of(manifest) for manifest in wanted]
    assert {item.action for item in planned.objects} <= {Action.CREATE}
    in_waves = [item for wave in planned.waves() for item in wave]
    assert sorted(in_waves, key=lambda item: item.ref) == sorted(planned.applies, key=lambda item: item.ref)


@given(team_keys(), specs())
def test_everything_there_means_nothing_to_do(key: TeamKey, spec: TeamSpec):
    wanted = wanted_of(key, spec)
    standing = by_ref([live(manifest) for manifest in wanted])
    planned = plan(key, wanted=wanted, live=standing, live_tokens=frozenset({"t1"}))

    assert planned.applies == planned.deletes == planned.going == ()


@given(team_keys(), specs(), specs())
def test_what_is_no_longer_wanted_goes_by_uid_and_the_namespace_last(
    key: TeamKey, before: TeamSpec, after: TeamSpec
):
    standing = by_ref([live(manifest) for manifest in wanted_of(key, before)])
    wanted = {Ref.of(manifest) for manifest in wanted_of(key, after)}
    planned = plan(key, wanted=wanted_of(key, after), live=standing)

    assert {item.ref for item in planned.deletes} == set(standing) - wanted
    assert all(item.uid == "u1" for item in planned.deletes)
    waves = [next(n for n, kinds in enumerate(WAVES) if item.ref.kind in kinds) for item in planned.deletes]
    assert waves == sorted(waves, reverse=True)


def test_defaults_and_fields_of_others_are_no_difference():
    wanted = wanted_of(KEY, DEDICATED)
    deployment = live(the("Deployment", wanted))
    deployment["status"] = {"replicas": 1}
    deployment["spec"] = deployment["spec"] | {"paused": False}
    planned = plan(KEY, wanted=[the("Deployment", wanted)], live=by_ref([deployment]))
    assert planned.applies == ()


def test_a_change_by_hand_is_seen_with_its_path():
    wanted = the("Deployment", wanted_of(KEY, DEDICATED))
    by_hand = live(wanted)
    by_hand["spec"] = by_hand["spec"] | {"replicas": 7}
    (item,) = plan(KEY, wanted=[wanted], live=by_ref([by_hand])).applies
    assert item.action is Action.UPDATE
    assert item.changes == (Change("spec.replicas", 7, 1),)


def test_a_dropped_field_shows_as_another_hash_and_by_name_to_people():
    selecting = TeamSpec(deployment_mode=Mode.DEDICATED, dedicated=Dedicated(node_selector={"disk": "ssd"}))
    before, after = the("Deployment", wanted_of(KEY, selecting)), the("Deployment", wanted_of(KEY, DEDICATED))
    (item,) = plan(KEY, wanted=[after], live=by_ref([live(before)])).applies
    assert [change.path.rpartition(".")[2] for change in item.changes] == ["io/manifest-hash"]
    assert list(shown_changes(item, before)) == [
        Change("spec.template.spec.nodeSelector", {"disk": "ssd"}, None)
    ]
    assert not any(MANIFEST_HASH_ANNOTATION in change.path for change in shown_changes(item, None))


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"app.kubernetes.io/managed-by": "Helm"},
        {"incidentfox.io/team-node-id": "another"},
        {"incidentfox.io/org-id": "Extend"},
    ],
)
def test_an_object_that_is_not_ours_stops_everything(labels: dict[str, str]):
    wanted = wanted_of(KEY, DEDICATED)
    service = the("Service", wanted)
    foreign = live(service, labels=service["metadata"]["labels"] | labels if labels else {})
    with pytest.raises(NotOurs) as error:
        plan(KEY, wanted=wanted, live=by_ref([foreign]))
    assert error.value.ref == Ref.of(service)


def test_what_is_left_over_but_not_ours_stays():
    foreign = live(the("Service", wanted_of(TeamKey("a", "b"), DEDICATED)))
    assert plan(KEY, wanted=[], live=by_ref([foreign])).objects == ()


def test_what_is_going_is_neither_applied_nor_deleted_again():
    wanted = wanted_of(KEY, DEDICATED)
    service, deployment = the("Service", wanted), the("Deployment", wanted)
    going = [live(obj, deletionTimestamp="2030-01-01T00:00:00Z") for obj in (service, deployment)]
    planned = plan(KEY, wanted=[service], live=by_ref(going))
    assert planned.objects == ()
    assert list(planned.going) == going


@pytest.mark.parametrize(
    ("tokens", "data", "action"),
    [
        (frozenset({"t1"}), "c2VjcmV0", Action.UNCHANGED),
        (frozenset({"t2"}), "c2VjcmV0", Action.UPDATE),
        (frozenset(), "c2VjcmV0", Action.UPDATE),
        (None, "c2VjcmV0", Action.UNCHANGED),
        (None, "", Action.UPDATE),
    ],
)
def test_a_secret_is_as_wanted_while_its_credential_is_valid(
    tokens: frozenset[str] | None, data: str, action: Action
):
    wanted = the("Secret", wanted_of(KEY, DEDICATED))
    standing = live(wanted) | {"data": {"token": data}}
    (item,) = plan(KEY, wanted=[wanted], live=by_ref([standing]), live_tokens=tokens).objects
    assert item.action is action
    assert "c2VjcmV0" not in str(item.changes)


def test_steps_are_named_by_kind_and_by_name_where_that_is_not_enough():
    planned = plan(KEY, wanted=wanted_of(KEY, DEDICATED), live={})
    names = [planned.step_name(item) for item in planned.objects]
    assert len(set(names)) == len(names)
    assert {"deployment", "cron_job", "service_account:agent-dedicated-extend-platform-sre"} <= set(names)


@pytest.mark.parametrize(
    ("wanted", "standing", "changes"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": {"b": 1}}, {"a": {}}, [Change("a.b", None, 1)]),
        ([1, 2], [1, 3], [Change("x[1]", 3, 2)]),
        ([1], [1, 2], [Change("x", [1, 2], [1])]),
        ([{"name": "a", "v": 1}], [{"name": "b"}, {"name": "a", "v": 1}], []),
        ([{"name": "a", "v": 1}], [{"name": "a", "v": 2}], [Change("x[name=a].v", 2, 1)]),
        ([{"name": "a"}], [], [Change("x[name=a]", None, {"name": "a"})]),
        ("1", 1, [Change("x", 1, "1")]),
    ],
)
def test_differences(wanted: Any, standing: Any, changes: list[Change]):
    assert [
        Change(change.path.removeprefix("x."), change.before, change.after)
        for change in differences(wanted, standing, "x")
    ] == changes
