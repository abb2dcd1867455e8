"""What is let in."""

import pytest

from config_service.domain.documents import (
    MAX_CONFIG_BYTES,
    DocumentTooLarge,
    check_config,
    parse,
    same,
)
from config_service.domain.patches import json_patch, merge_patch
from config_service.errors import PatchTestFailed
from servicekit.problems import Invalid


def nested(levels):
    config = {}
    for _ in range(levels - 1):
        config = {"a": config}
    return config


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"NaN",
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": ["\\ud800"]}',
        b'{"a": ' + b"9" * 20 + b"}",
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 41 + b"]" * 41,
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_cannot_be_stored_is_refused(body):
    with pytest.raises(Invalid):
        parse(body)


def test_the_widest_numbers_pass():
    assert parse(b"[9223372036854775807, -9223372036854775808]") == [2**63 - 1, -(2**63)]


def test_a_config_nests_32_levels_and_no_more():
    assert check_config(nested(32))
    with pytest.raises(Invalid):
        check_config(nested(33))


def test_a_config_has_a_largest_size():
    check_config({"a": "x" * (MAX_CONFIG_BYTES - 8)})
    with pytest.raises(DocumentTooLarge):
        check_config({"a": "x" * (MAX_CONFIG_BYTES - 7)})
    with pytest.raises(DocumentTooLarge):
        check_config({"a": "é" * (MAX_CONFIG_BYTES // 2)})


def test_types_count_when_comparing():
    assert same({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert not same({"a": 1}, {"a": True})


def test_a_merge_patch_deletes_with_null():
    assert merge_patch({"a": 1, "b": {"c": 1, "d": 2}}, {"a": None, "b": {"c": None}}) == {"b": {"d": 2}}


def test_a_json_patch_runs_in_order_and_leaves_the_original():
    config = {"a": [1]}
    operations = [
        {"op": "add", "path": "/a/-", "value": 2},
        {"op": "move", "from": "/a", "path": "/b"},
        {"op": "test", "path": "/b", "value": [1, 2]},
    ]
    assert json_patch(config, operations) == {"b": [1, 2]}
    assert config == {"a": [1]}


def test_a_failing_test_stops_a_json_patch():
    with pytest.raises(PatchTestFailed):
        json_patch({"a": 1}, [{"op": "test", "path": "/a", "value": 2}])


@pytest.mark.parametrize(
    "operations",
    [
        {},
        [1],
        [{"op": "explode", "path": "/a"}],
        [{"op": "remove", "path": "/missing"}],
        [{"op": "replace", "path": "/a/b/c", "value": 1}],
        [{"op": "add", "path": "/list/999999999999999999999", "value": 1}],
        [{"op": "add", "path": 5, "value": 1}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "add", "path": "/x"}],
        [{"op": "replace", "path": "", "value": "text"}],
        [{"op": "remove", "path": ""}],
        [{"op": "move", "from": "/a", "path": "/a/b"}],
        [{"op": "copy", "from": None, "path": "/a"}],
        [{"path": "/a", "value": 1}],
        [{"op": {}, "path": "/a"}],
        [{"op": ["add"], "path": "/a"}],
        [{"op": "test", "path": "/a", "value": 1}] * 201,
    ],
)
def test_a_malformed_json_patch_is_refused(operations):
    with pytest.raises(Invalid):
        json_patch({"a": 1, "list": []}, operations)


def test_copies_cannot_blow_a_config_up():
    doubling = [
        {"op": "copy", "from": "", "path": "/copy"},
        {"op": "move", "from": "/copy", "path": "/again"},
    ]
    with pytest.raises((Invalid, DocumentTooLarge)):
        json_patch({"text": "x" * 1000}, doubling * 100)
