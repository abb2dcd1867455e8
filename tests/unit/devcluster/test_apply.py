"""Server-side apply: merging, ownership, conflicts and what goes when it is no longer said."""

import pytest

from devcluster.apply import apply
from devcluster.errors import ApiError, BadRequest, Conflict
from devcluster.kinds import by_kind
from devcluster.managers import Writer, carry_managed_fields

DEPLOYMENT = by_kind("Deployment")
OURS = Writer("orchestrator", "Apply")
THEIRS = Writer("someone", "Apply")


def wanted(containers=None, *, replicas=None, annotations=None, labels=None):
    spec = {"selector": {"matchLabels": {"app": "a"}}}
    if replicas is not None:
        spec["replicas"] = replicas
    if containers is not None:
        spec["template"] = {"spec": {"containers": containers}}
    metadata = {"name": "a", "namespace": "n"}
    metadata |= {"annotations": annotations} if annotations else {}
    metadata |= {"labels": labels} if labels else {}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def applied(live, configuration, writer=OURS, *, force=False, at="2026-01-01T00:00:00Z"):
    return apply(DEPLOYMENT, live, configuration, writer, force=force, moment=at)


def containers_of(obj):
    return obj["spec"]["template"]["spec"]["containers"]


def owners_of(obj):
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"]["managedFields"]}


def container(name="agent", **fields):
    return {"name": name, "image": "i:1", **fields}


def variables(**values):
    return [{"name": name, "value": value} for name, value in values.items()]


def test_a_first_apply_owns_exactly_what_it_says():
    created = applied(None, wanted([container(env=variables(A="1"))], replicas=2))
    assert owners_of(created)["orchestrator"] == {
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"agent"}': {
                            ".": {},
                            "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
                            "f:image": {},
                            "f:name": {},
                        }
                    }
                }
            },
        }
    }


def test_the_same_again_changes_nothing_not_even_the_time():
    live = applied(None, wanted([container()], replicas=2))
    assert applied(live, wanted([container()], replicas=2), at="2026-02-02T00:00:00Z") == live


def test_what_is_no_longer_said_goes():
    live = applied(None, wanted([container()], annotations={"a": "1", "b": "2"}))
    assert applied(live, wanted([container()], annotations={"a": "1"}))["metadata"]["annotations"] == {
        "a": "1"
    }


def test_a_structure_goes_when_nothing_in_it_is_owned_any_more():
    live = applied(None, wanted([container(readinessProbe={"httpGet": {"path": "/", "port": 1}})]))
    containers_of(live)[0]["readinessProbe"]["periodSeconds"] = 10
    assert "readinessProbe" not in containers_of(applied(live, wanted([container()])))[0]


def test_an_item_of_a_keyed_list_goes_with_all_that_the_server_filled_in():
    live = applied(None, wanted([container(), container("side")]))
    containers_of(live)[1]["imagePullPolicy"] = "Always"
    assert [item["name"] for item in containers_of(applied(live, wanted([container()])))] == ["agent"]


def test_an_item_that_another_manager_shares_stays_with_what_that_one_owns():
    live = applied(None, wanted([container(env=variables(A="1", B="2"))]))
    live = applied(live, wanted([{"name": "agent", "env": variables(B="2")}]), THEIRS)
    left = applied(live, wanted([container(env=variables(A="1"))]))
    assert containers_of(left)[0]["env"] == variables(A="1", B="2")
    gone = applied(left, wanted([{"name": "agent"}]), THEIRS)
    assert containers_of(gone)[0]["env"] == variables(A="1")


def test_fields_of_other_managers_survive():
    live = applied(None, wanted([container()]))
    live = applied(live, wanted(annotations={"owner": "someone"}), THEIRS)
    assert applied(live, wanted([container()]))["metadata"]["annotations"] == {"owner": "someone"}


def test_two_managers_may_want_the_same_value():
    live = applied(None, wanted([container()], replicas=2))
    shared = applied(live, wanted(replicas=2), THEIRS)
    assert all("f:replicas" in fields["f:spec"] for fields in owners_of(shared).values())


def test_two_managers_may_not_want_different_values():
    live = applied(None, wanted([container()], replicas=2))
    with pytest.raises(Conflict) as refused:
        applied(live, wanted(replicas=5), THEIRS)
    assert (
        refused.value.message == 'Apply failed with 1 conflict: conflict with "orchestrator": .spec.replicas'
    )


def test_several_conflicts_are_listed_by_manager():
    live = applied(None, wanted([container()], replicas=2))
    with pytest.raises(Conflict) as refused:
        applied(live, wanted([container(image="i:2")], replicas=5), THEIRS)
    assert refused.value.message.splitlines() == [
        'Apply failed with 2 conflicts: conflicts with "orchestrator":',
        "- .spec.replicas",
        '- .spec.template.spec.containers[name="agent"].image',
    ]


def test_force_takes_the_field_from_its_owner():
    live = applied(None, wanted([container()], replicas=2))
    taken = applied(live, wanted(replicas=5), THEIRS, force=True)
    assert taken["spec"]["replicas"] == 5
    assert "f:replicas" not in owners_of(taken)["orchestrator"]["f:spec"]


def test_what_was_taken_is_not_removed_by_its_former_owner():
    live = applied(None, wanted([container()], replicas=2))
    taken = applied(live, wanted(replicas=5), THEIRS, force=True)
    assert applied(taken, wanted([container()]))["spec"]["replicas"] == 5


def test_items_stand_in_the_order_of_the_apply_and_foreign_ones_keep_their_place():
    live = applied(None, wanted([container(env=variables(B="1", X="1"))]))
    live = applied(live, wanted([{"name": "agent", "env": variables(FOREIGN="1")}]), THEIRS)
    result = applied(live, wanted([container(env=variables(A="1", X="1", B="1"))]))
    names = [item["name"] for item in containers_of(result)[0]["env"]]
    assert [name for name in names if name != "FOREIGN"] == ["A", "X", "B"]
    assert "FOREIGN" in names


def test_a_port_without_protocol_is_the_tcp_port_of_that_number():
    live = applied(None, wanted([container(ports=[{"containerPort": 80}])]))
    containers_of(live)[0]["ports"][0]["protocol"] = "TCP"
    again = applied(live, wanted([container(ports=[{"containerPort": 80, "name": "http"}])]))
    assert containers_of(again)[0]["ports"] == [{"containerPort": 80, "protocol": "TCP", "name": "http"}]


def test_a_list_without_keys_is_replaced_as_a_whole():
    live = applied(None, wanted([container(args=["a", "b"])]))
    assert containers_of(applied(live, wanted([container(args=["c"])])))[0]["args"] == ["c"]


def test_a_selector_is_replaced_as_a_whole():
    live = applied(None, wanted([container()]))
    other = wanted([container()])
    other["spec"]["selector"] = {"matchLabels": {"b": "c"}}
    assert applied(live, other)["spec"]["selector"] == {"matchLabels": {"b": "c"}}


def test_neither_argument_is_changed():
    live = applied(None, wanted([container(env=variables(A="1"))], replicas=2))
    before = repr(live)
    configuration = wanted([container(env=variables(A="2"))], replicas=3)
    said = repr(configuration)
    applied(live, configuration)
    assert (repr(live), repr(configuration)) == (before, said)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"replicsa": 1}, ".spec.replicsa: field not declared in schema"),
        ({"replicas": "1"}, ".spec.replicas: expected numeric (int or float), got string"),
        ({"paused": 1}, ".spec.paused: expected boolean, got int64"),
        (
            {"template": {"spec": {"containers": [container(), container()]}}},
            '.spec.template.spec.containers: duplicate entries for key [name="agent"]',
        ),
    ],
)
def test_what_does_not_fit_the_schema_is_a_500_as_in_kubernetes(change, complaint):
    configuration = wanted()
    configuration["spec"] |= change
    with pytest.raises(ApiError) as refused:
        applied(None, configuration)
    assert (refused.value.status, refused.value.reason) == (500, "")
    assert refused.value.message.endswith(complaint)


def test_managed_fields_cannot_be_applied():
    configuration = wanted()
    configuration["metadata"]["managedFields"] = [{"manager": "x"}]
    with pytest.raises(BadRequest):
        applied(None, configuration)


def test_the_last_label_can_go():
    live = applied(None, wanted([container()], labels={"team": "x"}))
    assert applied(live, wanted([container()]))["metadata"]["name"] == "a"
    assert "labels" not in applied(live, wanted([container()]))["metadata"]


class TestOwnersAfterAnUpdate:
    """A create, replace or patch, as opposed to an apply."""

    @staticmethod
    def updated(live, change, writer):
        obj = {**live, "spec": {**live["spec"], **change}, "metadata": {**live["metadata"]}}
        carry_managed_fields(DEPLOYMENT, obj, live, writer, "2026-01-02T00:00:00Z")
        return obj

    def test_who_changes_a_field_owns_it_alone(self):
        live = applied(None, wanted([container()], replicas=2))
        changed = self.updated(live, {"replicas": 3}, Writer("scaler", "Update"))
        assert owners_of(changed)["scaler"] == {"f:spec": {"f:replicas": {}}}
        assert "f:replicas" not in owners_of(changed)["orchestrator"]["f:spec"]

    def test_shared_fields_that_did_not_change_stay_shared(self):
        scaler = Writer("scaler", "Update")
        live = applied(None, wanted([container()], replicas=2))
        live = self.updated(live, {"replicas": 3}, scaler)
        live = applied(live, wanted([container()], replicas=3))
        live = self.updated(live, {"paused": True}, scaler)
        assert "f:replicas" in owners_of(live)["orchestrator"]["f:spec"]
        assert owners_of(live)["scaler"] == {"f:spec": {"f:paused": {}, "f:replicas": {}}}

    def test_a_removed_field_is_nobodys(self):
        live = applied(None, wanted([container()], replicas=2))
        without = {**live, "spec": {key: value for key, value in live["spec"].items() if key != "replicas"}}
        without["metadata"] = {**live["metadata"]}
        carry_managed_fields(DEPLOYMENT, without, live, Writer("kubectl", "Update"), "2026-01-02T00:00:00Z")
        assert "f:replicas" not in owners_of(without)["orchestrator"]["f:spec"]
