"""An organisation's tree: its root, units within units, and teams as leaves."""

import enum
from collections.abc import Mapping
from typing import Final

from servicekit.problems import Invalid

#: How many nodes may lie on a path from the root to a team, both included.
MAX_LEVELS: Final = 16


class NodeType(enum.StrEnum):
    """What a node is; only teams have no children, only the root has no parent."""

    ORG = "org"
    UNIT = "unit"
    TEAM = "team"


def check_parent(parent_type: NodeType, level: int) -> None:
    """Refuse a parent that cannot have another child.

    Args:
        parent_type: what the parent is.
        level: how many nodes lie on the path from the root to the parent, both included.

    Raises:
        Invalid: the parent is a team, or lies too deep.
    """
    if parent_type is NodeType.TEAM:
        raise Invalid.field("parent_id", "must not be a team; only units have nodes below them")
    if level >= MAX_LEVELS:
        raise Invalid.field("parent_id", f"lies too deep; a tree has at most {MAX_LEVELS} levels")


def check_move(parents: Mapping[str, str | None], node_id: str, new_parent: str) -> None:
    """Refuse a move that makes a node its own ancestor, or its subtree too deep.

    Args:
        parents: every node of the organisation with its parent.
        node_id: the node to be moved; not the root.
        new_parent: an existing node that may have children.

    Raises:
        Invalid: the move cannot be.
    """
    above = _ancestors(parents, new_parent)
    if node_id in above:
        raise Invalid.field("parent_id", "must not lie below the node itself")
    height = max(
        len(path) - path.index(node_id)
        for path in (list(reversed(_ancestors(parents, each))) for each in parents)
        if node_id in path
    )
    if len(above) + height > MAX_LEVELS:
        raise Invalid.field("parent_id", f"lies too deep; a tree has at most {MAX_LEVELS} levels")


def _ancestors(parents: Mapping[str, str | None], node_id: str) -> list[str]:
    """The node itself, its parent, and so on to the root."""
    path = [node_id]
    while (parent := parents[path[-1]]) is not None:
        path.append(parent)
    return path
