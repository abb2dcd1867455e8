"""One request of one team: who asks, what the team allows, what it knows, and the answer."""

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from pydantic import BaseModel, Field, ValidationError

from agent_runtime.answers import compose
from agent_runtime.capacity import Capacity
from agent_runtime.config_service import ConfigServiceClient, Knowledge, KnowledgeEntry
from agent_runtime.errors import AgentNotEnabled, ConfigUnusable
from agent_runtime.ranking import Document, Match, rank
from servicekit.problems import Forbidden, Unavailable

log = structlog.get_logger()

Team = tuple[str, str]


class AgentConfig(BaseModel):
    """The part of a team's configuration that the agent honours, under the key `agent`."""

    #: `None`: every name answers.
    enabled_agents: list[str] | None = None
    max_sources: Annotated[int, Field(ge=1, le=20)] = 3
    greeting: str | None = None
    instructions: str | None = None

    @classmethod
    def of(cls, config: dict[str, Any]) -> "AgentConfig":
        """Read it from an effective configuration; keys of others are passed over.

        Raises:
            ConfigUnusable: a value is not what it has to be.
        """
        section = config.get("agent")
        if not isinstance(section, dict | None):
            raise ConfigUnusable(reason="agent: an object is expected")
        known = {key: value for key, value in (section or {}).items() if value is not None}
        try:
            return cls.model_validate(known)
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(["agent", *map(str, fault["loc"])])
            raise ConfigUnusable(reason=f"{place}: {fault['msg']}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the team is told, and the entries it rests on with their scores, best first."""

    team: Team
    text: str
    sources: tuple[tuple[KnowledgeEntry, float], ...]


class Agent:
    """Answers requests; keeps nothing between them, so that one team's data never meets another's.

    Args:
        config_service: where tokens are checked and data comes from.
        capacity: how many requests run at once.
        only_team: the one team served by a dedicated runtime; `None` on a shared one.
        deadline_s: how long one request may take in all, in seconds.
    """

    def __init__(
        self,
        *,
        config_service: ConfigServiceClient,
        capacity: Capacity,
        only_team: Team | None,
        deadline_s: float = 20.0,
    ) -> None:
        self._config_service = config_service
        self._capacity = capacity
        self._only_team = only_team
        self._deadline_s = deadline_s

    async def run(self, name: str, token: str, message: str) -> Answer:
        """Answer `message` for the team that `token` stands for.

        Raises:
            Unauthorized: the token is unknown.
            Forbidden: it is no team's token, or another team's than the one served here.
            AgentNotEnabled: the team does not have an agent of this name.
            ConfigUnusable: the team's configuration is wrong.
            TeamBusy: the team has too many requests running.
            RuntimeBusy: everybody together has.
            Unavailable: the Config Service does not answer, or not in time.
        """
        started = time.perf_counter()
        async with self._capacity.slot():
            try:
                async with asyncio.timeout(self._deadline_s):
                    answer = await self._run(name, token, message)
            except TimeoutError as error:
                raise Unavailable("The Config Service") from error
        org_id, team_node_id = answer.team
        log.info(
            "agent_answered",
            agent=name,
            org_id=org_id,
            team_node_id=team_node_id,
            sources=len(answer.sources),
            duration_ms=round((time.perf_counter() - started) * 1000),
        )
        return answer

    async def _run(self, name: str, token: str, message: str) -> Answer:
        team = await self._team_of(token)
        async with self._capacity.team_slot(team):
            config = AgentConfig.of(await self._config_service.effective_config(token))
            if config.enabled_agents is not None and name not in config.enabled_agents:
                raise AgentNotEnabled(name=name)
            knowledge = await self._config_service.knowledge(token)
            # Ranking is pure computing: in a thread, so that health checks are answered meanwhile.
            matches = await asyncio.to_thread(_search, message, knowledge, config.max_sources)
        entries = {entry.id: entry for entry in knowledge.entries}
        text = compose(
            [entries[match.id] for match in matches],
            searched=len(knowledge.entries),
            truncated=knowledge.truncated,
            prefixes=(config.greeting, config.instructions),
        )
        sources = tuple((entries[match.id], match.score) for match in matches)
        return Answer(team=team, text=text, sources=sources)

    async def _team_of(self, token: str) -> Team:
        """The team that asks, if it may ask here."""
        identity = await self._config_service.identify(token)
        if identity.kind != "team" or not identity.org_id or not identity.team_node_id:
            raise Forbidden(reason="Only a team's token can run an agent.")
        team = (identity.org_id, identity.team_node_id)
        if self._only_team not in {None, team}:
            raise Forbidden(reason="This agent is dedicated to another team.")
        return team


def _search(message: str, knowledge: Knowledge, limit: int) -> list[Match]:
    documents = [
        Document(id=entry.id, title=entry.title, text=" ".join([entry.question, entry.answer, *entry.tags]))
        for entry in knowledge.entries
    ]
    return rank(message, documents, limit=limit)
