import pytest

from devcluster.errors import ApiError, BadRequest
from devcluster.kinds import by_kind
from devcluster.patches import json_patch, merge_patch, strategic_merge
from devcluster.schema import schema_of

DEPLOYMENT = schema_of(by_kind("Deployment"))


def deployment(*containers):
    return {"spec": {"template": {"spec": {"containers": list(containers)}}}}


def containers_of(obj):
    return obj["spec"]["template"]["spec"]["containers"]


def test_merge_patch_removes_what_is_null_and_replaces_lists():
    assert merge_patch({"a": {"b": 1, "c": 2}, "l": [1]}, {"a": {"b": None}, "l": [2]}) == {
        "a": {"c": 2},
        "l": [2],
    }


def test_strategic_merge_merges_containers_by_name():
    live = deployment({"name": "a", "image": "1"}, {"name": "b", "image": "1"})
    patch = deployment({"name": "b", "image": "2"})
    assert containers_of(strategic_merge(live, patch, DEPLOYMENT)) == [
        {"name": "a", "image": "1"},
        {"name": "b", "image": "2"},
    ]


def test_strategic_merge_deletes_an_item_on_request():
    live = deployment({"name": "a"}, {"name": "b"})
    patch = deployment({"name": "a", "$patch": "delete"})
    assert containers_of(strategic_merge(live, patch, DEPLOYMENT)) == [{"name": "b"}]


def test_strategic_merge_ignores_order_directives():
    live = deployment({"name": "a"})
    patch = {"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "a"}]}}}}
    assert strategic_merge(live, patch, DEPLOYMENT) == live


def test_strategic_merge_takes_values_out_of_a_plain_list():
    live = {"metadata": {"finalizers": ["a", "b"]}}
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic_merge(live, patch, DEPLOYMENT) == {"metadata": {"finalizers": ["b"]}}


def test_json_patch_leaves_its_target_alone():
    live = {"a": [1]}
    assert json_patch(live, [{"op": "add", "path": "/a/-", "value": 2}]) == {"a": [1, 2]}
    assert live == {"a": [1]}


def test_a_json_patch_that_does_not_apply_is_unprocessable():
    with pytest.raises(ApiError) as refused:
        json_patch({}, [{"op": "remove", "path": "/a"}])
    assert refused.value.status == 422


def test_what_is_no_json_patch_is_refused():
    with pytest.raises(BadRequest):
        json_patch({}, [{"path": "/a"}])
