"""What the control plane does to a team: each call converges, in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from config_service.domain import documents
from config_service.domain.ids import ROOT_ID
from config_service.domain.merge import Config
from config_service.domain.protected import SHARED, Routing, with_routing
from config_service.domain.tree import NodeType
from config_service.errors import NodeIsNotATeam
from config_service.store import configs
from config_service.store.configs import Author
from config_service.store.nodes import Node, change, ensure_root, find, insert, remove
from config_service.store.routing import take_channels
from servicekit.problems import Unavailable

#: Under which name the control plane's writes appear in the history.
CONTROL_PLANE: Final = Author(name="control-plane", may_route=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """What putting a team's routing came to."""

    created_org: bool
    created_team: bool
    changed: bool
    version: int
    config: Config


def put(connection: Connection, org_id: str, team_id: str, routing: Routing, *, now: datetime) -> Put:
    """Bring a team's routing to `routing`, making the organisation and the team when they are new.

    Raises:
        ChannelTaken: a channel is another team's; nothing was changed.
        NodeIsNotATeam: the id is a unit's.
    """
    node = find(connection, org_id, team_id, lock=True)
    if node is not None:
        return _update(connection, node, routing, now=now)
    created_org = ensure_root(connection, org_id, by=CONTROL_PLANE.name, now=now)
    config = with_routing({}, routing)
    if insert(
        connection,
        org_id,
        team_id,
        NodeType.TEAM,
        ROOT_ID,
        config=config,
        by=CONTROL_PLANE.name,
        now=now,
        mode=routing.mode,
        dedicated_service_url=routing.dedicated_service_url,
        suspended=routing.suspended,
        granted_service_url=routing.dedicated_service_url,
    ):
        take_channels(connection, org_id, team_id, routing.slack_channel_ids)
        return Put(created_org=created_org, created_team=True, changed=True, version=1, config=config)
    # Somebody else made the team since we looked.
    node = find(connection, org_id, team_id, lock=True)
    if node is None:
        what = f"Team {org_id}/{team_id}, which is being made and deleted at once,"
        raise Unavailable(what)
    return _update(connection, node, routing, now=now)


def unroute(connection: Connection, org_id: str, team_id: str, *, now: datetime) -> tuple[bool, bool]:
    """Send nobody to a team any more: its channels are free, its address is gone, its mode is shared.

    Returns:
        Whether there is such a team, and whether anything changed.
    """
    node = find(connection, org_id, team_id, lock=True)
    if node is None or node.type is not NodeType.TEAM:
        return False, False
    return True, _update(connection, node, Routing(mode=SHARED), now=now).changed


def delete(connection: Connection, org_id: str, team_id: str) -> bool:
    """Remove a team with everything that is its own; answers whether there was one."""
    node = find(connection, org_id, team_id, lock=True)
    if node is None or node.type is not NodeType.TEAM:
        return False
    remove(connection, node)
    return True


def _update(connection: Connection, node: Node, routing: Routing, *, now: datetime) -> Put:
    if node.type is not NodeType.TEAM:
        raise NodeIsNotATeam(org_id=node.org_id, node_id=node.node_id)
    before = configs.load(node)
    after = with_routing(before.config, routing)
    url = routing.dedicated_service_url
    if documents.same(before.config, after):
        if url != node.granted_service_url:
            change(connection, node, {"granted_service_url": url})
        return Put(created_org=False, created_team=False, changed=False, version=before.version, config=after)
    stored = configs.route(
        connection, node, after, routing, author=CONTROL_PLANE, now=now, granted_service_url=url
    )
    return Put(
        created_org=False, created_team=False, changed=True, version=stored.version, config=stored.config
    )
