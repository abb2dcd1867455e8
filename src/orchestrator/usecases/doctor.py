"""Is everything there that the control plane needs, and what to do where it is not."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import sqlalchemy as sa

from orchestrator.clients.config_service import ConfigService, ConfigServiceRefused
from orchestrator.cluster.client import Cluster
from orchestrator.cluster.errors import ClusterError
from orchestrator.cluster.informers import NAMESPACED_KINDS
from orchestrator.cluster.kinds import KINDS
from orchestrator.concurrency import together
from orchestrator.domain.conditions import ConditionType, Reason
from orchestrator.domain.manifests import Platform
from orchestrator.errors import DependencyAway
from orchestrator.store import brake, teams
from orchestrator.store.migrate import MIGRATIONS
from servicekit.database import Database
from servicekit.errors import DatabaseAway

#: What is done to every managed kind.
VERBS = ("get", "list", "watch", "create", "patch", "delete")
PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    check: str
    #: `None`: it cannot be told from here.
    ok: bool | None
    detail: str
    #: What would mend it.
    mend: str = ""


class Doctor:
    """Looks, and changes nothing."""

    def __init__(
        self, *, database: Database, cluster: Cluster, config: ConfigService, platform: Platform
    ) -> None:
        self._database = database
        self._cluster = cluster
        self._config = config
        self._platform = platform

    async def examine(self) -> AsyncIterator[Finding]:
        """Each finding as soon as it is known."""
        checks: tuple[Callable[[], Awaitable[Finding]], ...] = (
            self._schema,
            self._brake,
            self._held,
            self._config_service,
            self._api_server,
            self._rights,
            self._namespaces,
        )
        for check in checks:
            yield await self._told(check)
        yield Finding(
            check="network policies",
            ok=None,
            detail="whether the cluster's network plugin enforces them cannot be told from its API",
            mend="try it: a pod of one team must not reach another team's agent",
        )

    async def _told(self, check: Callable[[], Awaitable[Finding]]) -> Finding:
        try:
            return await check()
        except DatabaseAway as error:
            return Finding(
                check="database",
                ok=False,
                detail=f"does not answer: {error}",
                mend="start it, and check ORCHESTRATOR_DATABASE_URL",
            )
        except (DependencyAway, ClusterError) as error:
            name = "Config Service" if "config_service" in str(error) else "cluster"
            mend = "CONFIG_SERVICE_URL" if name == "Config Service" else "KUBECONFIG, and the API server"
            return Finding(check=name, ok=False, detail=str(error), mend=f"check {mend}")

    async def _schema(self) -> Finding:
        async with self._database.reading() as connection:
            await connection.execute(sa.text("SELECT 1"))
        current = await MIGRATIONS.is_current(self._database)
        detail = "answers; the schema is " + ("current" if current else "not current")
        return Finding(check="database", ok=current, detail=detail, mend="orchestrator db migrate")

    async def _brake(self) -> Finding:
        async with self._database.reading() as connection:
            state = await brake.state(connection)
        detail = "off" if state.engaged_at is None else f"engaged: {state.reason}"
        return Finding(
            check="brake",
            ok=state.engaged_at is None,
            detail=detail,
            mend="if that is meant: orchestrator brake release",
        )

    async def _held(self) -> Finding:
        held = []
        after = None
        while True:
            async with self._database.reading() as connection:
                page = await teams.page(
                    connection, org_id=None, mode=None, ready=None, after=after, limit=PAGE
                )
            held += [
                f"{team.key}: {condition.message}"
                for team in page
                for condition in team.conditions
                if condition.type is ConditionType.DEGRADED and condition.reason is Reason.DELETION_HELD
            ]
            if len(page) < PAGE:
                break
            after = page[-1].key
        return Finding(
            check="deletions",
            ok=not held,
            detail="; ".join(held) or "none is held",
            mend="have the finalizer's owner let go, or POST …/{team}/release with a reason",
        )

    async def _config_service(self) -> Finding:
        try:
            await self._config.ping()
        except ConfigServiceRefused as error:
            return Finding(
                check="Config Service", ok=False, detail=str(error), mend="check CONFIG_SERVICE_URL"
            )
        return Finding(check="Config Service", ok=True, detail="answers")

    async def _api_server(self) -> Finding:
        return Finding(check="cluster", ok=True, detail=f"answers, version {await self._cluster.version()}")

    async def _rights(self) -> Finding:
        namespace = self._platform.namespace
        asked = [(kind, verb) for kind in (*NAMESPACED_KINDS, "Job") for verb in VERBS]
        allowed = await together(self._cluster.may(verb, kind, namespace) for kind, verb in asked)
        missing = [
            f"{verb} {KINDS[kind].plural}"
            for (kind, verb), may in zip(asked, allowed, strict=True)
            if not may
        ]
        return Finding(
            check=f"rights in namespace {namespace}",
            ok=not missing,
            detail="missing: " + ", ".join(missing) if missing else "none is missing",
            mend="give the orchestrator's account a Role with these verbs",
        )

    async def _namespaces(self) -> Finding:
        verbs = ("get", "create", "patch", "delete")
        allowed = await together(self._cluster.may(verb, "Namespace", "") for verb in verbs)
        missing = [verb for verb, may in zip(verbs, allowed, strict=True) if not may]
        return Finding(
            check="rights for isolation: namespace",
            ok=not missing,
            detail=f"missing on namespaces: {', '.join(missing)}" if missing else "none is missing",
            mend="needed only for teams with a namespace of their own: a ClusterRole with these verbs",
        )
