"""The schema. Times are seconds since the epoch: one type that both databases order and compare alike."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

_json: Any = JSON().with_variant(JSONB(), "postgresql")
#: Ids are compared to the letter and ordered by code point on every database.
_id: Any = String(63).with_variant(String(63, collation="C"), "postgresql")

teams = Table(
    "teams",
    metadata,
    Column("org_id", _id, primary_key=True),
    Column("team_node_id", _id, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("spec", _json, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("names", _json, nullable=False),
    Column("leaving", _json),
    Column("inventory", _json, nullable=False),
    Column("routed", _json),
    Column("good_spec", _json),
    Column("good_generation", BigInteger, nullable=False, default=0),
    Column("created_config", Integer, nullable=False, default=0),
    Column("token_state", String(16), nullable=False, default="pending"),
    Column("observed_generation", BigInteger, nullable=False, default=0),
    Column("conditions", _json, nullable=False),
    Column("ready", Integer, nullable=False, default=0),
    Column("run_id", String(36)),
    Column("due_at", Double),
    Column("failures", Integer, nullable=False, default=0),
    Column("lease_holder", String(64)),
    Column("lease_until", Double, nullable=False, default=0),
    Column("fence", BigInteger, nullable=False, default=0),
    Column("restore_until", Double),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index("teams_due", "due_at"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("org_id", _id, nullable=False),
    Column("team_node_id", _id, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("requested_by", String(255), nullable=False),
    Column("request", _json, nullable=False),
    Column("steps", _json, nullable=False),
    Column("waiting_for", Text),
    Column("error", _json),
    Column("result", _json),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    Index("runs_of_team", "org_id", "team_node_id", "id"),
    Index("runs_by_status", "status", "id"),
)

names = Table(
    "names",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("org_id", _id, nullable=False),
    Column("team_node_id", _id, nullable=False),
    Index("names_of_team", "org_id", "team_node_id"),
)

channels = Table(
    "channels",
    metadata,
    Column("slack_channel_id", String(32), primary_key=True),
    Column("org_id", _id, nullable=False),
    Column("team_node_id", _id, nullable=False),
    Index("channels_of_team", "org_id", "team_node_id"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller", String(255), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("run_id", String(36), nullable=False),
    Column("expires_at", Double, nullable=False),
)

#: One row, which whoever counts locks first.
brake = Table(
    "brake",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("engaged_at", Double),
    Column("reason", Text),
    Column("released_at", Double),
    Column("released_by", String(255)),
)

brake_marks = Table(
    "brake_marks",
    metadata,
    Column("org_id", _id, primary_key=True),
    Column("team_node_id", _id, primary_key=True),
    Column("marked_at", Double, nullable=False),
)
