"""A node's own config: read, written as a new version, and remembered."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from config_service.domain import documents, protected
from config_service.domain.merge import Config
from config_service.domain.protected import Routing
from config_service.domain.tree import NodeType
from config_service.errors import VersionMismatch, protected_path
from config_service.store.nodes import Node, change, remember
from config_service.store.routing import set_channels
from config_service.store.sql import AnyRow
from config_service.store.tables import versions
from servicekit.problems import Invalid, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who writes, and what their authority reaches."""

    #: As the history shows it.
    name: str
    #: Whether keys that route or isolate may be written.
    may_route: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Versioned:
    """A config and its version, which grows by one with every change."""

    config: Config
    version: int


def load(node: Node) -> Versioned:
    """The node's own config."""
    return Versioned(config=json.loads(node.config), version=node.version)


def write(
    connection: Connection,
    node: Node,
    edit: Callable[[Config], Config],
    *,
    author: Author,
    now: datetime,
    url_pattern: re.Pattern[str],
    expected: Callable[[int], bool],
) -> Versioned:
    """Change a node's config by `edit`; nothing is written when it changes nothing.

    Args:
        connection: of a transaction.
        node: locked.
        edit: from the config as it is to the config as it shall be; may raise.
        author: who writes.
        now: when.
        url_pattern: what a dedicated agent's address must match.
        expected: whether the caller meant the version that stands.

    Raises:
        VersionMismatch: they did not.
        ProtectedPath: the change touches what this author may not write.
        Invalid: a key that routes would hold what it cannot.
        ChannelTaken: a channel is another team's.
    """
    if not expected(node.version):
        raise VersionMismatch(version=node.version)
    before = json.loads(node.config)
    after = edit(before)
    if documents.same(before, after):
        return Versioned(config=before, version=node.version)
    path = protected.changed(before, after)
    if path is None:
        return _store(connection, node, after, author=author, now=now)
    if not author.may_route:
        raise protected_path(path)
    routing = protected.read_routing(after, url_pattern)
    if routing.dedicated_service_url not in {None, node.granted_service_url}:
        raise Invalid.field(
            "agent.dedicated_service_url", "is not the address that the control plane gave to this team"
        )
    return route(connection, node, after, routing, author=author, now=now)


def route(
    connection: Connection,
    node: Node,
    after: Config,
    routing: Routing,
    *,
    author: Author,
    now: datetime,
    **columns: str | bool | None,
) -> Versioned:
    """Store a config whose routing has changed, with the channels and columns that follow from it.

    Args:
        connection: of a transaction.
        node: locked.
        after: the config that shall be.
        routing: what `after` says about routing, checked.
        author: who writes.
        now: when.
        columns: further columns of the node to set.

    Raises:
        ChannelTaken: a channel is another team's.
    """
    if node.type is NodeType.TEAM:
        set_channels(connection, node.org_id, node.node_id, routing.slack_channel_ids)
    return _store(
        connection,
        node,
        after,
        author=author,
        now=now,
        mode=routing.mode,
        dedicated_service_url=routing.dedicated_service_url,
        suspended=routing.suspended,
        **columns,
    )


def history(connection: Connection, node: Node, *, before: int | None, limit: int) -> list[AnyRow]:
    """Rows of the node's versions, newest first, older than version `before`."""
    statement = (
        select(versions)
        .where(versions.c.org_id == node.org_id, versions.c.node_id == node.node_id)
        .order_by(versions.c.version.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(versions.c.version < before)
    return list(connection.execute(statement))


def at_version(connection: Connection, node: Node, version: int) -> Config:
    """The config as it was at `version`.

    Raises:
        NotFound: there is no such version.
    """
    text = connection.execute(
        select(versions.c.config).where(
            versions.c.org_id == node.org_id,
            versions.c.node_id == node.node_id,
            versions.c.version == version,
        )
    ).scalar_one_or_none()
    if text is None:
        raise NotFound(what=f"Version {version} of {node.org_id}/{node.node_id}")
    config: Config = json.loads(text)
    return config


def _store(
    connection: Connection,
    node: Node,
    config: Config,
    *,
    author: Author,
    now: datetime,
    **columns: str | bool | None,
) -> Versioned:
    text = documents.dump(config)
    version = node.version + 1
    change(connection, node, {**columns, "config": text, "version": version, "updated_at": now})
    remember(connection, node.org_id, node.node_id, version, text, by=author.name, now=now)
    return Versioned(config=config, version=version)
