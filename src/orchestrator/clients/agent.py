"""A team's agent, shared or dedicated, reached directly or through the API server."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import httpx2

from orchestrator.domain.objects import Ref
from orchestrator.errors import DependencyAway
from servicekit.problems import Problem

AGENT_PORT = 8000
#: Longest that an agent may think, in seconds.
AGENT_TIMEOUT_S = 60.0
#: The API server's proxy keeps `Authorization` for itself, so the team's token has a header of its own there.
TEAM_TOKEN_HEADER = "X-Team-Token"  # noqa: S105 - the name of a header


class AgentFailed(Problem):
    """The agent answered {status_code}: {answer}"""  # noqa: D415 - the agent's own words end the sentence

    status, code = 502, "agent_failed"


class ServiceProxy(Protocol):
    """The way through the API server to a Service, which works from outside the cluster too."""

    async def through_service(
        self,
        service: Ref,
        port: int,
        path: str,
        *,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> httpx2.Response:
        """POST to a Service; the answer is the Service's, whatever its status."""


class AgentClient:
    """Runs agents.

    Args:
        http: a client without base URL.
        cluster: for `proxy` access, which works from outside the cluster.
        access: how dedicated agents are reached.
    """

    def __init__(
        self, http: httpx2.AsyncClient, cluster: ServiceProxy, *, access: Literal["direct", "proxy"]
    ) -> None:
        self._http = http
        self._cluster = cluster
        self._access = access

    async def run_shared(
        self, url: str, agent: str, *, token: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Ask the shared agent on behalf of the team whose token it is."""
        return await self._direct(url, agent, token, body)

    async def run_dedicated(
        self, service: Ref, url: str, agent: str, *, token: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Ask a team's own agent.

        Raises:
            AgentFailed: it answered with an error.
            DependencyAway: it does not answer.
        """
        if self._access == "direct":
            return await self._direct(url, agent, token, body)
        response = await self._cluster.through_service(
            service,
            AGENT_PORT,
            f"/agents/{agent}/run",
            body=body,
            headers={TEAM_TOKEN_HEADER: token},
            timeout_s=AGENT_TIMEOUT_S,
        )
        return _answer(response)

    async def _direct(self, url: str, agent: str, token: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            response = await self._http.post(
                f"{url}/agents/{agent}/run",
                json=dict(body),
                headers={"Authorization": f"Bearer {token}"},
                timeout=AGENT_TIMEOUT_S,
            )
        except httpx2.TransportError as error:
            raise DependencyAway("agent", type(error).__name__) from error
        return _answer(response)


def _answer(response: httpx2.Response) -> dict[str, Any]:
    if response.status_code in {502, 503, 504}:
        raise DependencyAway("agent", f"status {response.status_code}")
    if response.status_code >= httpx2.codes.BAD_REQUEST:
        raise AgentFailed(status_code=response.status_code, answer=response.text[:500])
    answer: dict[str, Any] = response.json()
    return answer
