"""Where a node may hang."""

import pytest

from config_service.domain.ids import is_channel
from config_service.domain.tree import MAX_LEVELS, NodeType, check_move, check_parent
from servicekit.problems import Invalid

PARENTS = {"~": None, "west": "~", "oregon": "west", "sre": "oregon", "east": "~"}


def test_a_team_has_no_children():
    check_parent(NodeType.UNIT, 2)
    with pytest.raises(Invalid):
        check_parent(NodeType.TEAM, 2)


def test_a_tree_has_a_last_level():
    check_parent(NodeType.UNIT, MAX_LEVELS - 1)
    with pytest.raises(Invalid):
        check_parent(NodeType.UNIT, MAX_LEVELS)


@pytest.mark.parametrize("below", ["west", "oregon"])
def test_a_node_cannot_hang_below_itself(below):
    with pytest.raises(Invalid):
        check_move(PARENTS, "west", below)


def test_a_subtree_moves_as_a_whole():
    check_move(PARENTS, "oregon", "east")


def test_a_subtree_must_not_reach_too_deep():
    chain = {"~": None, "unit-1": "~", **{f"unit-{n}": f"unit-{n - 1}" for n in range(2, MAX_LEVELS - 1)}}
    parents = {**chain, "west": "~", "sre": "west"}
    check_move(parents, "west", f"unit-{MAX_LEVELS - 3}")
    with pytest.raises(Invalid):
        check_move(parents, "west", f"unit-{MAX_LEVELS - 2}")


def test_a_channel_is_capital_letters_and_digits():
    assert is_channel("C0123ABCD")
    assert not any(map(is_channel, ["C", "c123", "C1\n", "C" * 33, 5, None]))
