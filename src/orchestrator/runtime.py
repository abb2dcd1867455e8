"""The composition root: settings in, a running control plane out."""

import asyncio
import enum
import gc
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
import structlog
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp
from uuid6 import uuid7

from config_service.runtime import create_app as create_config_service
from config_service.store.migrate import MIGRATIONS as CONFIG_MIGRATIONS
from orchestrator.api.app import WithConfigService, create_app
from orchestrator.api.services import Services
from orchestrator.clients.agent import AgentClient
from orchestrator.clients.config_service import ConfigService
from orchestrator.clients.in_process import InProcess
from orchestrator.cluster.client import Cluster
from orchestrator.domain.manifests import Platform
from orchestrator.reconciler.drift import DriftWatch
from orchestrator.reconciler.loop import Reconciler
from orchestrator.reconciler.team import TeamReconciler, Timing
from orchestrator.settings import Settings
from orchestrator.store.backup import in_use
from orchestrator.store.migrate import MIGRATIONS
from orchestrator.store.notices import Listener
from orchestrator.store.signals import Signals
from orchestrator.usecases.agents import Agents
from orchestrator.usecases.braking import Braking
from orchestrator.usecases.deprovision import Deprovisioning
from orchestrator.usecases.doctor import Doctor
from orchestrator.usecases.orphans import Orphans
from orchestrator.usecases.preflight import Preflight
from orchestrator.usecases.provision import Provisioning
from orchestrator.usecases.read import Reading
from orchestrator.usecases.runs import RunWatch
from orchestrator.usecases.steering import Steering
from orchestrator.usecases.tokens import TeamTokens
from servicekit.database import Database
from servicekit.logs import configure_logs

log = structlog.get_logger()

#: How long requests under way may take to end when the process is told to stop, in seconds.
GRACE_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The ways out of this process."""

    database: Database
    cluster: Cluster
    config: ConfigService
    agent_http: httpx2.AsyncClient
    #: The Config Service itself when it runs inside this process.
    config_app: ASGIApp | None


class Role(enum.Enum):
    """What a process does; any number of each may work on one PostgreSQL."""

    BOTH = enum.auto()
    API = enum.auto()
    RECONCILER = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """Everything put together and not yet serving; the reconciler runs while `app` does."""

    app: ASGIApp
    services: Services
    reconciler: Reconciler
    drift: DriftWatch


def platform_of(settings: Settings) -> Platform:
    """What manifests depend on."""
    embedded = settings.config_service_url is None
    program = "orchestrator" if embedded else "config-service"
    inside = f"http://{program}.{settings.namespace}.svc.cluster.local:{settings.port if embedded else 8081}"
    url = settings.pod_config_service_url or settings.config_service_url or inside
    return Platform(
        namespace=settings.namespace,
        agent_image=settings.agent_image,
        pipeline_image=settings.pipeline_image,
        config_service_url=url,
        config_service_namespace=settings.namespace,
        config_service_labels={"app.kubernetes.io/name": program},
        config_service_port=urlsplit(url).port or 80,
        orchestrator_namespace=settings.namespace,
        slack_export_dir=settings.slack_export_dir,
    )


@asynccontextmanager
async def open_doors(settings: Settings, *, admin_token: str) -> AsyncIterator[Doors]:
    """Open the database, the cluster, the Config Service; the end closes them.

    Raises:
        lightkube.core.exceptions.ConfigError: there is no cluster to connect to.
        DatabaseAway: the database does not answer.
        BackupError: the data folder is being restored.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(in_use(settings.data_dir))
        database = Database(settings.database())
        stack.push_async_callback(database.close)
        if database.is_sqlite or settings.auto_migrate:
            await MIGRATIONS.upgrade(database)
        headers = {"Authorization": f"Bearer {admin_token}"}
        config_app = None
        if settings.config_service_url is None:
            config_app = await _embedded_config_service(settings, admin_token, stack)
            config_http = httpx2.AsyncClient(
                transport=InProcess(config_app),
                base_url="http://config-service",
                headers=headers,
            )
        else:
            config_http = httpx2.AsyncClient(
                base_url=settings.config_service_url,
                headers=headers,
                timeout=settings.call_timeout.total_seconds(),
                trust_env=False,
            )
        config = ConfigService(config_http)
        stack.push_async_callback(config.close)
        cluster = Cluster.connect(settings.kubeconfig, timeout=settings.call_timeout)
        stack.push_async_callback(cluster.close)
        agent_http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False))
        yield Doors(
            database=database, cluster=cluster, config=config, agent_http=agent_http, config_app=config_app
        )


def control_plane(
    settings: Settings,
    doors: Doors,
    *,
    admin_token: str,
    role: Role = Role.BOTH,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> ControlPlane:
    """Put everything together behind the doors."""
    platform = platform_of(settings)
    signals = Signals()
    reading = Reading(doors.database, doors.cluster, platform)
    drift = DriftWatch(doors.cluster, namespace=platform.namespace, wake=signals.team_changed)
    services = Services(
        admin_token=admin_token,
        database=doors.database,
        cluster=doors.cluster,
        config=doors.config,
        signals=signals,
        provisioning=Provisioning(
            database=doors.database,
            config=doors.config,
            preflight=Preflight(doors.cluster, drift.informers, platform, monotonic=time.monotonic),
            platform=platform,
            signals=signals,
            clock=clock,
        ),
        deprovisioning=Deprovisioning(
            database=doors.database,
            config=doors.config,
            cluster=doors.cluster,
            platform=platform,
            signals=signals,
            clock=clock,
        ),
        reading=reading,
        steering=Steering(doors.database, signals, clock=clock),
        braking=Braking(doors.database, signals, clock=clock),
        run_watch=RunWatch(doors.database, signals),
        tokens=TeamTokens(doors.database, doors.config),
        agents=Agents(
            reading=reading,
            cluster=doors.cluster,
            config=doors.config,
            agent=AgentClient(doors.agent_http, doors.cluster, access=settings.agent_access),
            platform=platform,
            shared_agent_url=settings.shared_agent_url,
        ),
    )
    reconciler = Reconciler(
        database=doors.database,
        teams_reconciler=TeamReconciler(
            database=doors.database,
            cluster=doors.cluster,
            config=doors.config,
            informers=drift.informers,
            platform=platform,
            signals=signals,
            holder=f"{socket.gethostname()[:20]}-{uuid7()}",
            timing=Timing(lease=settings.lease, resync_interval=settings.resync_interval),
            clock=clock,
            monotonic=monotonic,
        ),
        signals=signals,
        workers=settings.workers,
        clock=clock,
    )

    if role is not Role.API:
        doors.cluster.circuit.on_closed(reconciler.wake_waiting)
        doors.config.circuit.on_closed(reconciler.wake_waiting)

    @asynccontextmanager
    async def reconciling() -> AsyncIterator[None]:
        work = [
            Listener(doors.database, signals).run(),
            doors.cluster.circuit.watch_over(doors.cluster.is_back),
            doors.config.circuit.watch_over(doors.config.is_back),
        ]
        if role is not Role.API:
            work += [reconciler.run(), drift.run()]
        tasks = [asyncio.create_task(each) for each in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    only_health = role is Role.RECONCILER
    api = create_app(services, background=reconciling, only_health=only_health)
    app = api if doors.config_app is None or only_health else WithConfigService(api, doors.config_app)
    return ControlPlane(app=app, services=services, reconciler=reconciler, drift=drift)


def examiners(settings: Settings, doors: Doors) -> tuple[Doctor, Orphans]:
    """What looks at an installation from a shell."""
    plane = control_plane(settings, doors, admin_token="", role=Role.API).services
    platform = platform_of(settings)
    doctor = Doctor(database=doors.database, cluster=doors.cluster, config=doors.config, platform=platform)
    orphans = Orphans(
        database=doors.database,
        cluster=doors.cluster,
        config=doors.config,
        platform=platform,
        provisioning=plane.provisioning,
        deprovisioning=plane.deprovisioning,
    )
    return doctor, orphans


async def _embedded_config_service(settings: Settings, admin_token: str, stack: AsyncExitStack) -> FastAPI:
    database = Database(settings.config_database())
    stack.push_async_callback(database.close)
    if database.is_sqlite or settings.auto_migrate:
        await CONFIG_MIGRATIONS.upgrade(database)
    return create_config_service(
        database=database,
        admin_token=admin_token,
        token_key=settings.token_key(),
        shared_agent_url=settings.shared_agent_url,
    )


async def serve(settings: Settings, role: Role = Role.BOTH) -> None:
    """Serve until told to stop; requests under way end first, then passes, then connections."""
    configure_logs(settings.log_format)
    _collect_seldom()
    admin_token, made = settings.admin_token_or_new()
    if made:
        # Shown this once, to the person who starts the installation; logs never carry it.
        print(f"Admin token, kept in {settings.data_dir / 'admin-token'}: {admin_token}", flush=True)  # noqa: T201
    async with open_doors(settings, admin_token=admin_token) as doors:
        config = uvicorn.Config(
            control_plane(settings, doors, admin_token=admin_token, role=role).app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        log.info("serving", address=f"http://{settings.host}:{settings.port}")
        await uvicorn.Server(config).serve()


def _collect_seldom() -> None:
    """Look for cyclic garbage every 50 000 new objects instead of every 700, and never among what was imported.

    A request makes some 10 000 objects, nearly all of which go by themselves: looking so often took a tenth of the
    time of a provisioning.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def migrate(settings: Settings) -> None:
    """Bring the schemas up to date: ours, and the embedded Config Service's."""
    database = Database(settings.database())
    try:
        await MIGRATIONS.upgrade(database)
    finally:
        await database.close()
    if settings.config_service_url is None:
        config_database = Database(settings.config_database())
        try:
            await CONFIG_MIGRATIONS.upgrade(config_database)
        finally:
            await config_database.close()
