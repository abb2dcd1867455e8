"""Who calls and what they may: told before anything else of a request is looked at."""

import functools
import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import structlog
from fastapi import Depends, Path, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.background import BackgroundTask

from config_service.api.services import Services, services_of
from config_service.domain import documents
from config_service.domain import tokens as domain
from config_service.domain.ids import ID_PATTERN
from config_service.store import tokens as store
from config_service.store.configs import Author
from servicekit.errors import DatabaseAway
from servicekit.problems import Forbidden, Unauthorized

log = structlog.get_logger()

#: Tokens minted for this purpose sit in a team's own pods: they read the config and keep what was learned,
#: but whoever breaks into a pod cannot rewrite the team's config with them.
RUNTIME: Final = "runtime"

_READER_SCOPES: Final = ("config:read", "knowledge:read", "knowledge:write")

#: Documents the scheme; the check itself is `GuardedRoute`'s.
bearer = Depends(HTTPBearer(auto_error=False, description="An admin's, org admin's, or team's token."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """Whoever holds the installation's admin token."""

    kind: str = "admin"
    scopes: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgAdmin:
    """An admin of one organisation."""

    org_id: str
    token_id: str
    kind: str = "org_admin"
    scopes: tuple[str, ...] = ("org:admin",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team's own token."""

    org_id: str
    team_node_id: str
    token_id: str
    purpose: str | None
    kind: str = "team"

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the token may do."""
        return _READER_SCOPES if self.purpose == RUNTIME else ("config:write", *_READER_SCOPES)


Caller = Admin | OrgAdmin | Team


class GuardedRoute(APIRoute):
    """A route behind a bearer token: first who calls, then whether the body is sane, then the rest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the guard in front of it."""
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            services = services_of(request)
            caller, used = await _authenticate(services, request.headers.get("authorization", ""))
            request.state.caller = caller
            checked = _CheckedRequest(request.scope, request.receive)
            await checked.check()
            response = await handler(checked)
            if used is not None and response.background is None:
                response.background = BackgroundTask(_touch, services, used, services.now())
            return response

        return guarded


def says_json(request: Request) -> bool:
    """Whether a request's content type is JSON or one of its kind."""
    return "json" in request.headers.get("content-type", "").lower()


class _CheckedRequest(Request):
    """A request whose JSON is parsed once, by rules that both databases and every client can live with."""

    async def check(self) -> None:
        """Parse the body, if it is there and says that it is JSON.

        Raises:
            Invalid: it is not JSON, or holds what cannot be stored.
        """
        body = await self.body()
        if body and says_json(self):
            self._document = documents.parse(body)

    async def json(self) -> Any:
        """The parsed body."""
        return self._document


async def _authenticate(services: Services, header: str) -> tuple[Caller, str | None]:
    """The caller, and the id of their token when its use is to be remembered.

    Raises:
        Unauthorized: there is no token, or none that holds.
    """
    scheme, _, text = header.partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text:
        raise Unauthorized
    admin_token = services.admin_token()
    if admin_token and hmac.compare_digest(text.encode(), admin_token.encode()):
        return Admin(), None
    prefix = domain.prefix_of(text)
    if prefix is None:
        raise Unauthorized
    row = await services.access.read(functools.partial(store.by_prefix, prefix=prefix))
    if row is None or not domain.matches(text, row.digest, services.token_key):
        raise Unauthorized
    now = services.now()
    if row.expires_at is not None and row.expires_at <= now:
        raise Unauthorized
    stale = row.last_used_at is None or now - row.last_used_at >= store.LAST_USED_RESOLUTION
    caller: Caller
    if row.kind == store.ORG_ADMIN:
        caller = OrgAdmin(org_id=row.org_id, token_id=row.id)
    else:
        caller = Team(org_id=row.org_id, team_node_id=row.node_id, token_id=row.id, purpose=row.purpose)
    return caller, row.id if stale else None


async def _touch(services: Services, token_id: str, now: datetime) -> None:
    """Remember the use, after the answer has gone out; what it cannot remember is no reason to fail."""
    try:
        await services.access.write(functools.partial(store.touch, token_id=token_id, now=now))
    except DatabaseAway:
        log.warning("token_use_not_remembered", token_id=token_id)


# Dependencies are coroutines even where nothing is awaited: FastAPI hands plain functions to a thread.


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


async def _admin(request: Request) -> Admin:
    caller: Caller = request.state.caller
    if not isinstance(caller, Admin):
        raise Forbidden(reason="Only an installation admin may do this.")
    return caller


async def _org_author(request: Request, org: Annotated[str, Path(pattern=ID_PATTERN)]) -> Author:
    """Whoever may administer the organisation in the path, as the history will name them."""
    caller: Caller = request.state.caller
    if isinstance(caller, Admin):
        return Author(name="admin", may_route=True)
    if isinstance(caller, OrgAdmin) and caller.org_id == org:
        return Author(name=f"org-admin:{caller.token_id}")
    raise Forbidden(reason="Only an admin of this organisation may do this.")


async def _team(request: Request) -> Team:
    caller: Caller = request.state.caller
    if not isinstance(caller, Team):
        raise Forbidden(reason="This needs a team's own token.")
    return caller


async def _team_writer(request: Request) -> Team:
    team = await _team(request)
    if "config:write" not in team.scopes:
        raise Forbidden(reason="This token is for the team's runtime; it cannot write the config.")
    return team


AnyCaller = Annotated[Caller, Depends(_caller)]
AdminCaller = Annotated[Admin, Depends(_admin)]
OrgAuthor = Annotated[Author, Depends(_org_author)]
TeamCaller = Annotated[Team, Depends(_team)]
TeamWriter = Annotated[Team, Depends(_team_writer)]
