"""The Config Service, over HTTP whether it runs elsewhere or in this process."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx2

from orchestrator.circuit import Circuit
from orchestrator.domain.team import TeamKey
from orchestrator.errors import ChannelTaken, DependencyAway
from orchestrator.lease import must_be_held

NAME = "config_service"
#: Calls under way at once.
MAX_CALLS = 32
_WHO = "/api/v1/auth/me"


@dataclass(frozen=True, slots=True, repr=False)
class MintedToken:
    """A credential just made; its text is in nobody else's hands."""

    id: str
    token: str


@dataclass(frozen=True, slots=True)
class TeamConfig:
    """What the Config Service holds of a team that is the orchestrator's business."""

    config: Mapping[str, Any]
    #: Ids of the credentials that are valid now.
    live_tokens: frozenset[str]
    created: bool = False
    #: The credential that was asked for with it.
    minted: MintedToken | None = None


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What is known there of a team that somebody wants to provision."""

    team_exists: bool
    #: Who owns the channels, of those that somebody owns.
    channel_owners: Mapping[str, TeamKey]


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """Whom a bearer token stands for."""

    kind: str
    org_id: str | None
    team_node_id: str | None
    token_id: str | None


class ConfigServiceRefused(Exception):
    """The Config Service will not take it, however often it is asked."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class ConfigService:
    """One Config Service.

    Args:
        http: a client with base URL, timeout and the service's admin token.
        max_calls: calls under way at once, so that a slow Config Service never holds everything else up.
    """

    def __init__(self, http: httpx2.AsyncClient, *, max_calls: int = MAX_CALLS) -> None:
        self._http = http
        self._places = asyncio.Semaphore(max_calls)
        #: Whether it is asked at all.
        self.circuit = Circuit(NAME)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get_team(self, key: TeamKey) -> TeamConfig | None:
        """The team's config and credentials, or `None` when it is not known there."""
        response = await self._send("GET", _team(key), allow=(404,))
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        return _team_config(response.json())

    async def put_team(
        self,
        key: TeamKey,
        *,
        channels: Collection[str],
        mode: str,
        dedicated_service_url: str | None,
        suspended: bool = False,
        mint: str | None = None,
    ) -> TeamConfig:
        """Have the team, and its org, be there and be routed like this; everything else in its config stays.

        With `mint`, a new credential for that purpose as well, as `mint_token` makes it.

        Raises:
            ChannelTaken: a channel belongs to another team.
        """
        body = {
            "slack_channel_ids": list(channels),
            "mode": mode,
            "dedicated_service_url": dedicated_service_url,
            "suspended": suspended,
            "mint": mint,
        }
        return _team_config((await self._send("PUT", _team(key), json=body)).json())

    async def unroute(self, key: TeamKey) -> None:
        """Free the team's channels and forget where its agent was."""
        await self._send("DELETE", f"{_team(key)}/routing")

    async def delete_team(self, key: TeamKey) -> bool:
        """Remove the team's node with all it holds; whether there was one."""
        return bool((await self._send("DELETE", _team(key))).json()["found"])

    async def mint_token(self, key: TeamKey, *, purpose: str, expires_in_s: int | None = None) -> MintedToken:
        """A new credential for a purpose; the one that served it before is revoked in the same moment."""
        body = {"purpose": purpose, "expires_in": expires_in_s}
        minted = (await self._send("POST", f"{_team(key)}/tokens", json=body)).json()
        return MintedToken(minted["id"], minted["token"])

    async def revoke_tokens(self, key: TeamKey, *, purpose: str | None = None) -> int:
        """Revoke the team's credentials, all of them or those of one purpose; how many there were."""
        params = {"purpose": purpose} if purpose else {}
        return int((await self._send("DELETE", f"{_team(key)}/tokens", params=params)).json()["revoked"])

    async def look_up(self, key: TeamKey, channels: Collection[str]) -> LookedUp:
        """Whether the team is known, and who owns the channels that it wants."""
        team = {"org_id": key.org_id, "team_node_id": key.team_node_id}
        body = {"slack_channel_ids": list(channels), "team": team}
        found = (await self._send("POST", "/api/v1/internal/channels/owners", json=body)).json()
        owners = found["owners"].items()
        return LookedUp(
            bool(found["team_exists"]),
            {channel: TeamKey(owner["org_id"], owner["team_node_id"]) for channel, owner in owners},
        )

    async def who_am_i(self, token: str) -> WhoAmI | None:
        """Whom a token stands for, or `None` when it is not valid."""
        response = await self._send("GET", _WHO, headers={"Authorization": f"Bearer {token}"}, allow=(401,))
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            return None
        body = response.json()
        return WhoAmI(body["kind"], body.get("org_id"), body.get("team_node_id"), body.get("token_id"))

    async def ping(self) -> None:
        """Return when the Config Service answers.

        Raises:
            DependencyAway: it does not.
        """
        await self._send("GET", "/livez")

    async def is_back(self) -> None:
        """Ask although the circuit is open; the one who looks whether it is there again.

        Raises:
            DependencyAway: it is not.
        """
        await self._ask("GET", "/readyz")

    async def _send(
        self, method: str, path: str, *, allow: Collection[int] = (), **arguments: Any
    ) -> httpx2.Response:
        async with self._places:
            self.circuit.must_be_closed()
            if method != "GET":
                must_be_held()
            response = await self._ask(method, path, **arguments)
        if response.status_code < HTTPStatus.BAD_REQUEST or response.status_code in allow:
            return response
        raise _refusal(response)

    async def _ask(self, method: str, path: str, **arguments: Any) -> httpx2.Response:
        try:
            response = await self._http.request(method, path, **arguments)
        except httpx2.TransportError as error:
            self.circuit.failed(type(error).__name__)
            raise DependencyAway(NAME, type(error).__name__) from error
        status = response.status_code
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.circuit.failed(f"status {status}")
            raise DependencyAway(NAME, f"status {status}")
        self.circuit.answered()
        if status == HTTPStatus.UNAUTHORIZED and path != _WHO:
            # Our own token, not somebody's that is asked about: that is for the operator to mend, and then goes on.
            raise DependencyAway(NAME, f"status {status}")
        return response


def _refusal(response: httpx2.Response) -> Exception:
    body = response.json()
    if str(body.get("type", "")).endswith(ChannelTaken.code):
        owner = TeamKey(body["owner"]["org_id"], body["owner"]["team_node_id"])
        return ChannelTaken.by(body["channel"], owner)
    return ConfigServiceRefused(response.status_code, str(body.get("detail", "")))


def _team(key: TeamKey) -> str:
    # The ids hold no character that a path would have to escape.
    return f"/api/v1/internal/teams/{key.org_id}/{key.team_node_id}"


def _team_config(body: Mapping[str, Any]) -> TeamConfig:
    tokens = frozenset(token["id"] for token in body["tokens"])
    minted = body.get("minted")
    return TeamConfig(
        body["config"],
        tokens,
        created=body.get("created_team", False),
        minted=None if minted is None else MintedToken(minted["id"], minted["token"]),
    )
