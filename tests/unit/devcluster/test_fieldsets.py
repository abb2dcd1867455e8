"""Sets of field paths behave as sets."""

from hypothesis import given
from hypothesis import strategies as st

from devcluster.fieldsets import difference, intersection, is_member, paths, union

PATHS = st.sets(
    st.lists(st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}']), min_size=1, max_size=4).map(tuple)
)


def as_fieldset(members):
    root = {}
    for path in sorted(members):
        node = root
        for depth, part in enumerate(path, start=1):
            # A path that goes on below a member makes the member say so itself.
            above = path[: depth - 1]
            if above in members:
                node["."] = {}
            node = node.setdefault(part, {})
    for path in members:
        node = root
        for part in path:
            node = node[part]
        if node:
            node["."] = {}
    return root


def members_of(fieldset, prefix=()):
    found = set()
    for key, node in fieldset.items():
        if key == ".":
            continue
        if is_member(node):
            found.add((*prefix, key))
        found |= members_of(node, (*prefix, key))
    return found


@given(PATHS)
def test_a_set_is_what_it_was_made_from(one):
    assert members_of(as_fieldset(one)) == one


@given(PATHS, PATHS)
def test_union_difference_and_intersection_are_those_of_sets(one, other):
    left, right = as_fieldset(one), as_fieldset(other)
    assert members_of(union(left, right)) == one | other
    assert members_of(difference(left, right)) == one - other
    assert members_of(intersection(left, right)) == one & other


@given(PATHS, PATHS)
def test_arguments_stay_as_they_are(one, other):
    left, right = as_fieldset(one), as_fieldset(other)
    before = repr((left, right))
    union(left, right), difference(left, right), intersection(left, right)
    assert repr((left, right)) == before


def test_paths_are_written_as_messages_have_them():
    fields = {"f:spec": {'k:{"name":"x","port":1}': {".": {}, "f:a": {}}, 'v:"y"': {}}}
    assert list(paths(fields)) == ['.spec[name="x",port=1]', '.spec[name="x",port=1].a', '.spec[="y"]']
