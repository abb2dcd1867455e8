"""Which team a Slack channel belongs to; the database itself keeps a channel from having two."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from config_service.errors import channel_taken
from config_service.store.sql import AnyRow, insert_new
from config_service.store.tables import channels, nodes
from servicekit.problems import Unavailable

#: How often to try again when a channel's owner gives it up at the very moment it is asked for.
_ATTEMPTS: Final = 5

_LOOKUP = (
    select(nodes.c.org_id, nodes.c.node_id, nodes.c.mode, nodes.c.dedicated_service_url, nodes.c.suspended)
    .join(channels, (channels.c.org_id == nodes.c.org_id) & (channels.c.node_id == nodes.c.node_id))
    .where(channels.c.channel == bindparam("channel"))
)
_MINE = (channels.c.org_id == bindparam("of_org")) & (channels.c.node_id == bindparam("of_node"))
_HELD = select(channels.c.channel).where(_MINE)
_DROP = delete(channels).where(_MINE, channels.c.channel.in_(bindparam("dropped", expanding=True)))


def lookup(connection: Connection, channel: str) -> AnyRow | None:
    """The team that `channel` is routed to: a row of `org_id, node_id, mode, dedicated_service_url, suspended`."""
    return connection.execute(_LOOKUP, {"channel": channel}).one_or_none()


def owners(connection: Connection, wanted: Iterable[str]) -> Mapping[str, tuple[str, str]]:
    """For those of the channels that are mapped: the organisation and team they belong to."""
    rows = connection.execute(select(channels).where(channels.c.channel.in_(list(wanted))))
    return {row.channel: (row.org_id, row.node_id) for row in rows}


def set_channels(connection: Connection, org_id: str, team_id: str, wanted: Sequence[str]) -> None:
    """Give a team exactly these channels.

    New ones are taken in the order of their names, and before any is let go: so two teams that change at the
    same time wait for one another in one direction only.

    Raises:
        ChannelTaken: one of them is another team's.
    """
    team = {"of_org": org_id, "of_node": team_id}
    held = set(connection.execute(_HELD, team).scalars())
    take_channels(connection, org_id, team_id, set(wanted) - held)
    if dropped := sorted(held - set(wanted)):
        connection.execute(_DROP, {**team, "dropped": dropped})


def take_channels(connection: Connection, org_id: str, team_id: str, wanted: Iterable[str]) -> None:
    """Give a team channels that it does not have yet.

    Raises:
        ChannelTaken: one of them is another team's.
    """
    missing = sorted(wanted)
    for _ in range(_ATTEMPTS):
        if not missing:
            return
        rows = [{"channel": channel, "org_id": org_id, "node_id": team_id} for channel in missing]
        statement = insert_new(connection, channels, channels.c.channel)
        taken = set(connection.execute(statement, rows).scalars())
        missing = [channel for channel in missing if channel not in taken]
        owned = owners(connection, missing)
        for channel in missing:
            if channel in owned:
                org, team = owned[channel]
                raise channel_taken(channel, org_id=org, team_node_id=team)
    if missing:
        what = "A Slack channel that is changing hands"
        raise Unavailable(what)
