"""Bodies and answers. Unknown fields of a body are refused with their name."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from config_service.domain.ids import CHANNEL_PATTERN, ID_PATTERN, MAX_CHANNELS, ROOT_ID

#: Tokens live ten years at the longest, in seconds.
_MAX_LIFETIME_S = int(timedelta(days=3650).total_seconds())
_MAX_VERSION = 2**31 - 1


def _unique(channels: list[str]) -> list[str]:
    if len(set(channels)) != len(channels):
        message = "must not name a channel twice"
        raise ValueError(message)
    return channels


Id = Annotated[str, Field(pattern=ID_PATTERN)]
Channel = Annotated[str, Field(pattern=CHANNEL_PATTERN)]
Channels = Annotated[list[Channel], Field(max_length=MAX_CHANNELS), AfterValidator(_unique)]
Lifetime = Annotated[int, Field(gt=0, le=_MAX_LIFETIME_S, strict=True, description="Seconds.")]
Label = Annotated[str, Field(max_length=200)]

OrgPath = Annotated[str, Path(pattern=ID_PATTERN)]
TeamPath = Annotated[str, Path(pattern=ID_PATTERN)]
NodePath = Annotated[
    str,
    Path(
        pattern=f"{ID_PATTERN}|^{ROOT_ID}$",
        description="A node's id. `~` is the root; the organisation's id means the root too, unless a unit or"
        " team bears it.",
    ),
]
TokenPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}$")]
VersionPath = Annotated[int, Path(ge=1, le=_MAX_VERSION)]
NamePath = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str | None, Query(max_length=300)]


class Body(BaseModel):
    """What a caller sends."""

    model_config = ConfigDict(extra="forbid")


class CreateNode(Body):
    """A new unit or team."""

    id: Id
    type: Literal["unit", "team"]
    parent_id: Annotated[str, Field(pattern=f"{ID_PATTERN}|^{ROOT_ID}$")] | None = None
    name: Label | None = None


class ChangeNode(Body):
    """Another name, another parent, or both; `null` as the parent is the root."""

    name: Label | None = None
    parent_id: Annotated[str, Field(pattern=f"{ID_PATTERN}|^{ROOT_ID}$")] | None = None


class CreateToken(Body):
    """A token made by hand."""

    label: Label | None = None
    expires_in: Lifetime | None = None


class MintToken(Body):
    """A token for a program; it takes the place of the one before."""

    purpose: Id
    expires_in: Lifetime | None = None


class PutTeam(Body):
    """All that the control plane says about a team; all required, so that nothing is cleared by chance."""

    slack_channel_ids: Channels
    mode: Literal["shared", "dedicated"]
    dedicated_service_url: Annotated[str, Field(max_length=300)] | None
    #: Nobody is to be answered; all else stays as it is.
    suspended: bool = False
    #: Mint the team's token for this purpose in the same transaction.
    mint: Id | None = None


class LookUp(Body):
    """A channel whose team is asked for."""

    slack_channel_id: Channel


class TeamId(Body):
    """Which team."""

    org_id: Id
    team_node_id: Id


class FindOwners(Body):
    """Channels whose teams are asked for, and a team of which is asked whether it is known."""

    slack_channel_ids: Channels
    team: TeamId | None = None


class Source(Body):
    """The conversation that something was learned from."""

    channel: Annotated[str, Field(max_length=64)]
    channel_name: Annotated[str, Field(max_length=200)] | None = None
    thread_ts: Annotated[str, Field(max_length=64)]
    url: Annotated[str, Field(max_length=2000)] | None = None


class KnowledgeEntry(Body):
    """One thing that was learned."""

    id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
    title: Annotated[str, Field(max_length=500)]
    question: Annotated[str, Field(max_length=20_000)]
    answer: Annotated[str, Field(max_length=100_000)]
    source: Source
    learned_from_ts: Annotated[str, Field(max_length=64)]
    tags: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=50)] = []


class PutKnowledge(Body):
    """Entries to be stored by their ids."""

    entries: Annotated[list[KnowledgeEntry], Field(max_length=500)]


class PutCheckpoint(Body):
    """Where a program wants to go on."""

    value: dict[str, Any]


class NodeView(BaseModel):
    """A node of an organisation's tree; the config has a route of its own."""

    id: str
    org_id: str
    type: Literal["org", "unit", "team"]
    parent_id: str | None
    name: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class ConfigView(BaseModel):
    """A config and its version."""

    config: dict[str, Any]
    version: int


class EffectiveView(ConfigView):
    """The merged config and the version of the node's own one; with `explain`, which node set each value."""

    explain: dict[str, str] | None = None


class MyEffectiveView(ConfigView):
    """The merged config of the team whose token it was."""

    org_id: str
    team_node_id: str


class VersionView(ConfigView):
    """One version of a node's config."""

    changed_by: str
    changed_at: datetime


class NewTokenView(BaseModel):
    """A new token; its text is shown this once."""

    id: str
    token: str
    prefix: str
    purpose: str | None
    created_at: datetime
    expires_at: datetime | None


class TokenView(BaseModel):
    """A token, without its text."""

    id: str
    prefix: str
    label: str | None
    purpose: str | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class LiveTokenView(BaseModel):
    """A token that opens a door now."""

    id: str
    purpose: str | None
    prefix: str
    created_at: datetime


class TeamView(ConfigView):
    """A team as the control plane sees it."""

    tokens: list[LiveTokenView]


class PutTeamView(TeamView):
    """The same, with what the call has made."""

    created_org: bool
    created_team: bool
    changed: bool
    minted: NewTokenView | None


class MeView(BaseModel):
    """Whose token it is and what it may do."""

    kind: Literal["admin", "org_admin", "team"]
    org_id: str | None
    team_node_id: str | None
    token_id: str | None
    purpose: str | None
    scopes: list[str]


class Owner(BaseModel):
    """The team a channel belongs to."""

    org_id: str
    team_node_id: str


class OwnersView(BaseModel):
    """For each channel that is mapped, its team."""

    owners: dict[str, Owner]
    #: Whether the team that was asked for is known; null when none was.
    team_exists: bool | None = None


class RouteView(BaseModel):
    """Where a channel's requests go."""

    found: Literal[True] = True
    org_id: str
    team_node_id: str
    deployment_mode: Literal["shared", "dedicated"]
    agent_url: str | None
    #: Requests are to be answered with 503 `team_suspended` instead of being sent to the agent.
    suspended: bool


class NoRouteView(BaseModel):
    """The channel belongs to no team."""

    found: Literal[False] = False


class UpsertedView(BaseModel):
    """What storing entries came to."""

    created: int
    updated: int
    unchanged: int


class KnowledgeView(KnowledgeEntry):
    """A stored entry."""

    version: int
    updated_at: datetime


class CheckpointView(BaseModel):
    """A checkpoint and when it was written."""

    name: str
    value: dict[str, Any]
    updated_at: datetime


class Found(BaseModel):
    """Whether there was something to remove."""

    found: bool


class Unrouted(Found):
    """Whether anything changed by it."""

    changed: bool


class Revoked(BaseModel):
    """How many tokens were revoked."""

    revoked: int


class ProblemView(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


Item = TypeVar("Item", bound=BaseModel)


class Page(BaseModel, Generic[Item]):
    """Part of a list; `next_cursor` leads on, `null` is the end."""

    items: list[Item]
    next_cursor: str | None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, for its documentation."""
    content = {"application/problem+json": {"schema": ProblemView.model_json_schema()}}
    return {
        status: {"description": "Problem details (RFC 9457).", "content": content}
        for status in (*statuses, 401, 403, 413, 422, 503)
    }
