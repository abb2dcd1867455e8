"""Run a team's agent, or its pipeline, now."""

import uuid
from collections.abc import Mapping
from typing import Any

import structlog

from orchestrator.clients.agent import AgentClient
from orchestrator.clients.config_service import ConfigService, ConfigServiceRefused
from orchestrator.cluster.client import Cluster
from orchestrator.cluster.errors import ClusterError, refusal
from orchestrator.domain.manifests import Platform, object_namespace
from orchestrator.domain.objects import Ref
from orchestrator.domain.pipeline_run import job_from_cronjob
from orchestrator.domain.team import Mode, TeamKey
from orchestrator.errors import DependencyAway, NoPipeline, TeamIsLeaving, TeamSuspended
from orchestrator.store.teams import TeamRecord, TeamState
from orchestrator.usecases.caller import Caller
from orchestrator.usecases.read import Reading
from servicekit.problems import Unavailable

log = structlog.get_logger()

#: The credential of a single question outlives it by little, in seconds.
QUESTION_TOKEN_LIFETIME_S = 120


class Agents:
    """Asks agents on behalf of teams; the team's credentials never leave this process and the agent."""

    def __init__(
        self,
        *,
        reading: Reading,
        cluster: Cluster,
        config: ConfigService,
        agent: AgentClient,
        platform: Platform,
        shared_agent_url: str | None,
    ) -> None:
        self._reading = reading
        self._cluster = cluster
        self._config = config
        self._agent = agent
        self._platform = platform
        self._shared_agent_url = shared_agent_url

    async def run(self, key: TeamKey, agent: str, body: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Ask the team's agent on the runtime that the team belongs to.

        Raises:
            NotFound, TeamIsLeaving: there is no such team to ask.
            TeamSuspended: it is not to be answered.
            Unavailable: its runtime does not answer.
        """
        team = await self._staying(key, caller)
        # A purpose of its own for each question: the credential ends with it and disturbs no other.
        purpose = f"question-{uuid.uuid4()}"
        try:
            minted = await self._config.mint_token(
                key, purpose=purpose, expires_in_s=QUESTION_TOKEN_LIFETIME_S
            )
            try:
                return await self._ask(team, agent, minted.token, body)
            finally:
                await self._config.revoke_tokens(key, purpose=purpose)
        except DependencyAway as error:
            raise Unavailable(f"The {error.dependency}") from error
        except ConfigServiceRefused as error:
            # Somebody took the team's node away over there; the next look at the team brings it back.
            raise Unavailable(f"The config of team {key}") from error

    async def _ask(self, team: TeamRecord, agent: str, token: str, body: Mapping[str, Any]) -> dict[str, Any]:
        # Where routing points now decides, not what is wanted: on the way to a runtime of its own, a team is served
        # by the shared one until the other is available.
        routed = team.routed
        if routed is not None and routed.suspended:
            raise TeamSuspended(team=team.key)
        if routed is not None and routed.mode == Mode.DEDICATED and routed.url is not None:
            service = Ref(
                "Service", object_namespace(team.spec, team.names, self._platform), team.names.agent
            )
            return await self._agent.run_dedicated(service, routed.url, agent, token=token, body=body)
        if routed is None or self._shared_agent_url is None:
            raise Unavailable(f"The agent of team {team.key}")
        return await self._agent.run_shared(self._shared_agent_url, agent, token=token, body=body)

    async def run_pipeline(self, key: TeamKey, caller: Caller) -> Ref:
        """Start the team's pipeline now, as `kubectl create job --from=cronjob/…` does; the Job that runs it.

        Raises:
            NoPipeline: the team has none.
            Unavailable: the cluster does not answer.
        """
        team = await self._staying(key, caller)
        if team.spec.pipeline_schedule is None:
            raise NoPipeline(team=key)
        cronjob = Ref("CronJob", object_namespace(team.spec, team.names, self._platform), team.names.pipeline)
        try:
            existing = await self._cluster.get(cronjob)
            if existing is None:
                raise Unavailable(f"CronJob {cronjob.name}")
            job = job_from_cronjob(existing, suffix=uuid.uuid4().hex[:8])
            return Ref.of(await self._cluster.create(job))
        except ClusterError as error:
            raise refusal(cronjob, error) from error
        except DependencyAway as error:
            raise Unavailable(f"The {error.dependency}") from error

    async def _staying(self, key: TeamKey, caller: Caller) -> TeamRecord:
        team = (await self._reading.team(key, caller)).team
        if team.state is not TeamState.ACTIVE:
            raise TeamIsLeaving(team=key)
        if team.spec.suspended:
            raise TeamSuspended(team=key)
        return team
