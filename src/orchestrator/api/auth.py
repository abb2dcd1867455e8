"""Who asks: authority is a type in a handler's signature."""

import secrets
from typing import Annotated

from fastapi import Depends, Request

from orchestrator.api.services import Services, TheServices
from orchestrator.clients.config_service import WhoAmI
from orchestrator.domain.team import TeamKey
from orchestrator.errors import DependencyAway
from orchestrator.usecases.caller import Caller
from servicekit.problems import Forbidden, Unauthorized, Unavailable


async def bearer_token(request: Request) -> str:
    """The token of the request; a coroutine because FastAPI hands plain functions to a thread.

    Raises:
        Unauthorized: it has none.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized
    # No token of ours has other characters, and none of them could be passed on in a header.
    if not (token.isascii() and token.isprintable()):
        raise Unauthorized
    return token


async def admin(services: TheServices, token: Annotated[str, Depends(bearer_token)]) -> Caller:
    """The installation's admin, or an org's.

    Raises:
        Unauthorized: the token is not valid.
        Forbidden: it is a team's.
    """
    if secrets.compare_digest(token.encode(), services.admin_token.encode()):
        return Caller("admin")
    who = await _who(services, token)
    if who.kind == "org_admin" and who.org_id is not None:
        return Caller(f"org_admin:{who.org_id}:{who.token_id}", org_id=who.org_id)
    raise Forbidden(reason="A team's token is not allowed to do this.")


async def team(services: TheServices, token: Annotated[str, Depends(bearer_token)]) -> TeamKey:
    """The team whose token it is.

    Raises:
        Unauthorized: the token is not valid.
        Forbidden: it is no team's.
    """
    who = await _who(services, token)
    if who.kind != "team" or who.org_id is None or who.team_node_id is None:
        raise Forbidden(reason="Only a team's own token may do this.")
    return TeamKey(who.org_id, who.team_node_id)


async def _who(services: Services, token: str) -> WhoAmI:
    try:
        who = await services.config.who_am_i(token)
    except DependencyAway as error:
        raise Unavailable("The Config Service, which knows this token,") from error
    if who is None:
        raise Unauthorized
    return who


#: May change and read what the token's reach allows.
Admin = Annotated[Caller, Depends(admin)]
#: A team, by its own token.
TeamSelf = Annotated[TeamKey, Depends(team)]
