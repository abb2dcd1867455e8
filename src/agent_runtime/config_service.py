"""The agent's only source of data: the Config Service, asked with the token of the team in question."""

from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
import structlog
from pydantic import BaseModel, Field, ValidationError

from servicekit.problems import Forbidden, NotFound, Unauthorized, Unavailable

log = structlog.get_logger()

#: How many entries one page of knowledge asks for.
PAGE_SIZE = 200
#: More entries than this are not searched: bounds the memory and the time of one request.
MAX_ENTRIES = 10_000

ModelT = TypeVar("ModelT", bound=BaseModel)


class Identity(BaseModel):
    """Whom a token stands for."""

    kind: str
    org_id: str | None = None
    team_node_id: str | None = None


class Effective(BaseModel):
    """A team's merged configuration."""

    config: dict[str, Any]


class EntrySource(BaseModel):
    """Where an entry was learned."""

    channel: str = ""
    channel_name: str | None = None
    thread_ts: str = ""
    url: str | None = None


class KnowledgeEntry(BaseModel):
    """One thing the team has learned."""

    id: str
    title: str = ""
    question: str = ""
    answer: str = ""
    source: EntrySource = EntrySource()
    tags: list[str] = Field(default_factory=list)


class KnowledgePage(BaseModel):
    """One page of the team's entries."""

    items: list[KnowledgeEntry]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """All entries that are searched, and whether there would have been more."""

    entries: tuple[KnowledgeEntry, ...]
    truncated: bool


class ConfigServiceClient:
    """Reads over HTTP what one token may see; keeps nothing between calls, so that teams cannot mix.

    Args:
        http: a client whose base URL is the Config Service and which has a timeout.
    """

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def identify(self, token: str) -> Identity:
        """Whom the token stands for.

        Raises:
            Unauthorized: nobody; the token is unknown, expired or revoked.
            Unavailable: the Config Service does not answer.
        """
        return await self._get("/api/v1/auth/me", token, Identity)

    async def effective_config(self, token: str) -> dict[str, Any]:
        """The merged configuration of the token's team; errors as `identify`."""
        return (await self._get("/api/v1/config/me/effective", token, Effective)).config

    async def knowledge(self, token: str) -> Knowledge:
        """The entries of the token's team, at most `MAX_ENTRIES`; errors as `identify`."""
        entries: dict[str, KnowledgeEntry] = {}
        cursor: str | None = None
        while len(entries) < MAX_ENTRIES:
            params = {"limit": str(PAGE_SIZE)} | ({"cursor": cursor} if cursor else {})
            page = await self._get("/api/v1/config/me/knowledge", token, KnowledgePage, params)
            # By id: pages are separate reads, and an entry that was written in between can come twice.
            entries |= {entry.id: entry for entry in page.items}
            cursor = page.next_cursor
            if cursor is None or not page.items:
                break
        if cursor is not None:
            log.warning("knowledge_truncated", entries=len(entries), limit=MAX_ENTRIES)
        return Knowledge(entries=tuple(entries.values())[:MAX_ENTRIES], truncated=cursor is not None)

    async def _get(
        self, path: str, token: str, model: type[ModelT], params: dict[str, str] | None = None
    ) -> ModelT:
        try:
            response = await self._http.get(path, params=params, headers={"Authorization": f"Bearer {token}"})
        except httpx2.HTTPError as error:
            log.warning("config_service_away", path=path, error=type(error).__name__)
            raise Unavailable("The Config Service") from error
        _raise_for_status(path, response.status_code)
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            # The message would quote the team's data; the places of the faults are enough to find them.
            faults = [".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False)][:5]
            log.warning("config_service_answer_malformed", path=path, faults=faults)
            raise Unavailable("The Config Service") from error


def _raise_for_status(path: str, status: int) -> None:
    """Tell the caller what is theirs to mend; everything else is an outage of the Config Service."""
    match status:
        case 200:
            return
        case 401:
            raise Unauthorized
        case 403:
            raise Forbidden(reason="The Config Service does not allow this token to read the team's data.")
        case 404:
            raise NotFound(what="The team of this token")
        case _:
            log.warning("config_service_away", path=path, status=status)
            raise Unavailable("The Config Service")
