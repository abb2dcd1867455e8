"""The token made for people: minted last, answered once, replaced when its answer was lost."""

import structlog

from orchestrator.clients.config_service import ConfigService, ConfigServiceRefused
from orchestrator.errors import DependencyAway
from orchestrator.store import teams
from orchestrator.store.runs import RunKind, RunRecord, RunStatus
from orchestrator.store.teams import TokenState
from servicekit.database import Database
from servicekit.errors import DatabaseAway

log = structlog.get_logger()

#: The credential that a provisioning answers.
TEAM_PURPOSE = "team"


class TeamTokens:
    """Hands out a team's token exactly when nobody has got it yet."""

    def __init__(self, database: Database, config: ConfigService) -> None:
        self._database = database
        self._config = config

    async def for_answer(self, run: RunRecord) -> str | None:
        """The token to put into the answer of a run that ended well; `None` when the team has its token.

        It stays `pending` until the answer is out: a process that dies before leaves a token that nobody knows, and
        the next answer replaces it, which revokes it.
        """
        if run.kind is not RunKind.PROVISION or run.status is not RunStatus.SUCCEEDED:
            return None
        async with self._database.reading() as connection:
            team = await teams.get(connection, run.key)
        if team is None or team.run_id != run.id or team.token_state is TokenState.DELIVERED:
            return None
        try:
            return (await self._config.mint_token(run.key, purpose=TEAM_PURPOSE)).token
        except (DependencyAway, ConfigServiceRefused) as error:
            log.warning("token_not_minted", team=str(run.key), cause=str(error))
            return None

    async def delivered(self, run: RunRecord) -> None:
        """The answer with the token is out."""
        try:
            async with self._database.unit_of_work() as connection:
                await teams.set_token_state(connection, run.key, TokenState.DELIVERED, run_id=run.id)
        except DatabaseAway as error:
            # The next provisioning then replaces the token: a nuisance, not a leak.
            log.warning("delivery_not_noted", team=str(run.key), cause=str(error))
