"""What handlers need, put together once by the composition root."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from orchestrator.clients.config_service import ConfigService
from orchestrator.cluster.client import Cluster
from orchestrator.store.signals import Signals
from orchestrator.usecases.agents import Agents
from orchestrator.usecases.braking import Braking
from orchestrator.usecases.deprovision import Deprovisioning
from orchestrator.usecases.provision import Provisioning
from orchestrator.usecases.read import Reading
from orchestrator.usecases.runs import RunWatch
from orchestrator.usecases.steering import Steering
from orchestrator.usecases.tokens import TeamTokens
from servicekit.database import Database


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Services:
    """One of each."""

    admin_token: str
    database: Database
    cluster: Cluster
    config: ConfigService
    signals: Signals
    provisioning: Provisioning
    deprovisioning: Deprovisioning
    reading: Reading
    steering: Steering
    braking: Braking
    run_watch: RunWatch
    tokens: TeamTokens
    agents: Agents


async def _services(request: Request) -> Services:
    """A coroutine, though nothing is awaited: FastAPI hands plain functions to a thread."""
    services: Services = request.app.state.services
    return services


TheServices = Annotated[Services, Depends(_services)]
