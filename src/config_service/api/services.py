"""What every route works with; made once by the composition root."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from config_service.store.access import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts a route may use."""

    access: Access
    #: Asked at every request, so that a token that was exchanged holds at once.
    admin_token: Callable[[], str] = field(repr=False)
    #: The key of the hashes that tokens are stored as.
    token_key: bytes = field(repr=False)
    #: What a dedicated agent's address must match as a whole.
    url_pattern: re.Pattern[str]
    #: Where teams in shared mode are answered; `None`: this installation has no shared agent.
    shared_agent_url: str | None
    #: The clock, in UTC.
    now: Callable[[], datetime]


def services_of(request: Request) -> Services:
    """The services of the application that answers `request`."""
    services: Services = request.app.state.config_service
    return services


async def _services(request: Request) -> Services:
    """The same as a coroutine: FastAPI hands plain functions to a thread."""
    return services_of(request)


ServicesOf = Annotated[Services, Depends(_services)]
