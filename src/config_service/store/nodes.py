"""The tree: nodes, their places, and the paths that lead to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, literal, select, update

from config_service.domain import documents
from config_service.domain.ids import ROOT_ID
from config_service.domain.merge import Config
from config_service.domain.tree import NodeType, check_move, check_parent
from config_service.errors import NodeExists, NodeHasChildren
from config_service.store.sql import AnyRow, insert_new
from config_service.store.tables import nodes, versions
from servicekit.problems import Invalid, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node as it is stored; the config as its JSON text."""

    org_id: str
    node_id: str
    type: NodeType
    parent_id: str | None
    name: str | None
    config: str
    version: int
    granted_service_url: str | None
    created_at: datetime
    updated_at: datetime


_COLUMNS = (
    nodes.c.org_id,
    nodes.c.node_id,
    nodes.c.type,
    nodes.c.parent_id,
    nodes.c.name,
    nodes.c.config,
    nodes.c.version,
    nodes.c.granted_service_url,
    nodes.c.created_at,
    nodes.c.updated_at,
)
_ONE = select(*_COLUMNS).where(nodes.c.org_id == bindparam("org_id"), nodes.c.node_id == bindparam("node_id"))
# NO KEY UPDATE: others may still hang children and tokens on the node, which refer to its key only.
_ONE_LOCKED = _ONE.with_for_update(key_share=True)


def _path() -> Any:
    """The node and everything above it, in one statement."""
    columns = (nodes.c.node_id, nodes.c.parent_id, nodes.c.type, nodes.c.config, nodes.c.version)
    path = (
        select(*columns, literal(0).label("height"))
        .where(nodes.c.org_id == bindparam("org_id"), nodes.c.node_id == bindparam("node_id"))
        .cte("path", recursive=True)
    )
    path = path.union_all(
        select(*columns, path.c.height + 1).where(
            nodes.c.org_id == bindparam("org_id"), nodes.c.node_id == path.c.parent_id
        )
    )
    return select(path.c.node_id, path.c.type, path.c.config, path.c.version).order_by(path.c.height.desc())


_PATH = _path()
_CHANGE = update(nodes).where(nodes.c.org_id == bindparam("of_org"), nodes.c.node_id == bindparam("of_node"))
_REMEMBER = versions.insert()
_UNROUTED: Final = {
    "mode": None,
    "dedicated_service_url": None,
    "granted_service_url": None,
    "suspended": False,
}


def find(connection: Connection, org_id: str, node_id: str, *, lock: bool = False) -> Node | None:
    """The node of exactly that id.

    Args:
        connection: of a transaction when `lock` is set.
        org_id: the organisation.
        node_id: the node; `~` is the root.
        lock: keep every other writer of this node waiting until the transaction ends. Whoever locks anything
            of a node locks the node first, so no two transactions ever wait for one another.
    """
    statement = _ONE_LOCKED if lock else _ONE
    row = connection.execute(statement, {"org_id": org_id, "node_id": node_id}).one_or_none()
    return None if row is None else _node(row)


def resolve(connection: Connection, org_id: str, address: str, *, lock: bool = False) -> Node:
    """The node that a caller addresses: by its id, the root also by the organisation's id.

    A unit or team may bear its organisation's id; then that id is its own, and the root is `~` alone.

    Raises:
        NotFound: there is none.
    """
    node = find(connection, org_id, address, lock=lock)
    if node is None and address == org_id:
        node = find(connection, org_id, ROOT_ID, lock=lock)
    if node is None:
        raise NotFound(what=f"Node {org_id}/{address}")
    return node


def find_team(connection: Connection, org_id: str, team_id: str, *, lock: bool = False) -> Node:
    """The team of exactly that id.

    Raises:
        NotFound: there is none; a unit of that id is none.
    """
    node = find(connection, org_id, team_id, lock=lock)
    if node is None or node.type is not NodeType.TEAM:
        raise NotFound(what=f"Team {org_id}/{team_id}")
    return node


def path_to(connection: Connection, org_id: str, node_id: str) -> Sequence[AnyRow]:
    """Rows of `node_id, type, config, version` from the root down to the node; empty when there is none."""
    return connection.execute(_PATH, {"org_id": org_id, "node_id": node_id}).all()


def page(connection: Connection, org_id: str, *, after: str, limit: int) -> Sequence[AnyRow]:
    """Up to `limit` nodes of the organisation whose id follows `after`, in the order of their ids.

    Returns:
        Rows with the attributes of `Node` but for the config, which may be large.
    """
    return connection.execute(
        select(*(column for column in _COLUMNS if column is not nodes.c.config))
        .where(nodes.c.org_id == org_id, nodes.c.node_id > after)
        .order_by(nodes.c.node_id)
        .limit(limit)
    ).all()


def ensure_root(connection: Connection, org_id: str, *, by: str, now: datetime) -> bool:
    """Make the organisation if it is new; answers whether it was."""
    return insert(connection, org_id, ROOT_ID, NodeType.ORG, None, config={}, by=by, now=now)


def insert(
    connection: Connection,
    org_id: str,
    node_id: str,
    node_type: NodeType,
    parent_id: str | None,
    *,
    config: Config,
    by: str,
    now: datetime,
    name: str | None = None,
    **columns: str | bool | None,
) -> bool:
    """Make a node with its first version, unless there is one of that id; answers whether it was made."""
    text = documents.dump(config)
    made = connection.execute(
        insert_new(connection, nodes, nodes.c.node_id),
        {
            **_UNROUTED,
            **columns,
            "org_id": org_id,
            "node_id": node_id,
            "type": node_type.value,
            "parent_id": parent_id,
            "name": name,
            "config": text,
            "version": 1,
            "created_at": now,
            "updated_at": now,
        },
    ).one_or_none()
    if made is None:
        return False
    remember(connection, org_id, node_id, 1, text, by=by, now=now)
    return True


def remember(
    connection: Connection, org_id: str, node_id: str, version: int, text: str, *, by: str, now: datetime
) -> None:
    """Add one version of a node's config to its history."""
    values = {"org_id": org_id, "node_id": node_id, "version": version}
    connection.execute(_REMEMBER, {**values, "config": text, "written_by": by, "written_at": now})


def change(connection: Connection, node: Node, values: Mapping[str, Any]) -> None:
    """Set columns of a node."""
    connection.execute(_CHANGE, {**values, "of_org": node.org_id, "of_node": node.node_id})


def create(
    connection: Connection,
    org_id: str,
    node_id: str,
    node_type: NodeType,
    *,
    parent: str | None,
    name: str | None,
    by: str,
    now: datetime,
) -> Node:
    """Make a unit or a team, and its organisation when that is new.

    Raises:
        NodeExists: the organisation has a node of that id.
        Invalid: the parent does not exist or cannot have children.
    """
    ensure_root(connection, org_id, by=by, now=now)
    if find(connection, org_id, node_id) is not None:
        raise NodeExists(org_id=org_id, node_id=node_id)
    parent_id = _parent(connection, org_id, parent)
    if not insert(connection, org_id, node_id, node_type, parent_id, config={}, by=by, now=now, name=name):
        raise NodeExists(org_id=org_id, node_id=node_id)
    return resolve(connection, org_id, node_id)


def move(connection: Connection, node: Node, parent: str | None, *, now: datetime) -> None:
    """Hang a node below another parent (`None`: below the root).

    Raises:
        Invalid: the parent does not exist, cannot have children, or lies below the node.
    """
    if node.type is NodeType.ORG:
        raise Invalid.field("parent_id", "must not be given for the root of an organisation")
    # Moves within one organisation take turns, or two of them could close a circle together.
    find(connection, node.org_id, ROOT_ID, lock=True)
    parent_id = _parent(connection, node.org_id, parent)
    rows = connection.execute(select(nodes.c.node_id, nodes.c.parent_id).where(nodes.c.org_id == node.org_id))
    check_move({row.node_id: row.parent_id for row in rows}, node.node_id, parent_id)
    change(connection, node, {"parent_id": parent_id, "updated_at": now})


def rename(connection: Connection, node: Node, name: str | None, *, now: datetime) -> None:
    """Give a node another display name."""
    change(connection, node, {"name": name, "updated_at": now})


def remove(connection: Connection, node: Node) -> None:
    """Delete a node with its config, history, channels, tokens, knowledge, and checkpoints.

    Raises:
        NodeHasChildren: there are nodes below it.
    """
    # A child that comes now waits for this lock, then finds its parent gone.
    connection.execute(_by_key(node).with_for_update())
    below = select(nodes.c.node_id).where(nodes.c.org_id == node.org_id, nodes.c.parent_id == node.node_id)
    if connection.execute(below.limit(1)).first() is not None:
        raise NodeHasChildren(node_id=node.node_id)
    connection.execute(delete(nodes).where(nodes.c.org_id == node.org_id, nodes.c.node_id == node.node_id))


def _by_key(node: Node) -> Any:
    return select(nodes.c.node_id).where(nodes.c.org_id == node.org_id, nodes.c.node_id == node.node_id)


def _parent(connection: Connection, org_id: str, parent: str | None) -> str:
    """The id of the parent that a caller named, locked against removal and found fit to have children."""
    try:
        found = resolve(connection, org_id, parent or ROOT_ID)
    except NotFound as error:
        raise Invalid.field("parent_id", "does not exist in this organisation") from error
    connection.execute(_by_key(found).with_for_update(read=True, key_share=True))
    check_parent(found.type, len(path_to(connection, org_id, found.node_id)))
    return found.node_id


def _node(row: AnyRow) -> Node:
    return Node(**{**row._mapping, "type": NodeType(row.type)})  # noqa: SLF001 - the documented name in SQLAlchemy
