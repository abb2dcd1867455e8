"""Laying configs over one another."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config_service.domain.merge import effective, explain, merge

# A busy machine may take its time to think of examples.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEYS = st.sampled_from(["a", "b", "c"])
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
CONFIGS = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=3),
    lambda inner: st.dictionaries(KEYS, LEAVES | inner, max_size=3),
    max_leaves=12,
)


def has_null(config):
    return any(value is None or (isinstance(value, dict) and has_null(value)) for value in config.values())


def leaves(config, prefix=""):
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_objects_merge_lists_and_scalars_replace_null_deletes():
    org = {"model": "small", "tools": ["a", "b"], "limits": {"cpu": 1, "memory": 2}, "beta": True}
    team = {"tools": ["c"], "limits": {"cpu": 4}, "beta": None}
    assert merge(org, team) == {"model": "small", "tools": ["c"], "limits": {"cpu": 4, "memory": 2}}


def test_an_object_replaces_a_scalar_and_a_scalar_an_object():
    assert merge({"a": 1}, {"a": {"b": 2}}) == {"a": {"b": 2}}
    assert merge({"a": {"b": 2}}, {"a": 1}) == {"a": 1}


@unhurried
@given(CONFIGS, CONFIGS)
def test_laying_the_same_over_twice_is_laying_it_once(below, over):
    once = merge(below, over)
    assert merge(once, over) == once


@unhurried
@given(CONFIGS)
def test_nothing_over_a_config_leaves_it_as_it_is(config):
    assert merge(config, {}) == config


@unhurried
@given(st.lists(CONFIGS, max_size=5), st.integers(0, 5))
def test_a_tree_can_be_merged_from_any_level_on(layers, level):
    above, below = layers[:level], layers[level:]
    assert effective(layers) == effective([effective(above), *below])


@unhurried
@given(st.lists(CONFIGS, max_size=5))
def test_no_null_survives(layers):
    assert not has_null(effective(layers))


@unhurried
@given(CONFIGS, CONFIGS)
def test_neither_side_is_changed(below, over):
    before = repr((below, over))
    merge(below, over)
    assert repr((below, over)) == before


@unhurried
@given(st.lists(CONFIGS, max_size=4))
def test_every_value_is_explained_by_the_last_node_that_set_it(layers):
    named = [(f"node-{number}", layer) for number, layer in enumerate(layers)]
    explained = explain(named)
    assert sorted(explained) == sorted(leaves(effective(layers)))


def test_explaining_names_nodes():
    layers = [
        ("root", {"model": "small", "limits": {"cpu": 1, "memory": 2}, "gone": 1, "empty": {}}),
        ("unit", {"limits": {"cpu": 2}, "gone": None}),
        ("team", {"limits": {"memory": 4}}),
    ]
    assert explain(layers) == {
        "model": "root",
        "limits.cpu": "unit",
        "limits.memory": "team",
        "empty": "root",
    }


def test_explaining_follows_an_object_that_took_a_scalars_place():
    layers = [("root", {"a": 1}), ("team", {"a": {}})]
    assert explain(layers) == {"a": "team"}
