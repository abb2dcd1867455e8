"""What tests see: the API from outside, the cluster and the Config Service beside it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import httpx2

from orchestrator.cluster.client import Cluster
from orchestrator.domain.objects import Manifest, Ref
from orchestrator.runtime import ControlPlane, Doors, control_plane, open_doors
from orchestrator.settings import Settings

ADMIN_TOKEN = "the-admin-token-of-these-tests"
SEED = {
    "org_id": "extend",
    "team_node_id": "platform-sre",
    "slack_channel_ids": ["C12345"],
    "pipeline_schedule": "0 2 * * *",
    "deployment_mode": "dedicated",
}


class World:
    """One control plane in this process, spoken to over HTTP."""

    def __init__(self, settings: Settings, doors: Doors, plane: ControlPlane) -> None:
        self.settings = settings
        self.doors = doors
        self.plane = plane
        self.namespace = settings.namespace
        self.http = self.caller(ADMIN_TOKEN)

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        settings: Settings,
        *,
        doors_of: Callable[[Doors], Doors] = lambda doors: doors,
        drift: bool = False,
    ) -> AsyncIterator[Self]:
        """Start it; the end stops it as a process does that is told to.

        Args:
            settings: of the control plane.
            doors_of: replaces doors, by ones that fail for example.
            drift: whether to watch the cluster as well; most tests want nothing to happen by itself.
        """
        async with open_doors(settings, admin_token=ADMIN_TOKEN) as doors:
            plane = control_plane(settings, doors_of(doors), admin_token=ADMIN_TOKEN)
            world = cls(settings, doors, plane)
            tasks = [asyncio.create_task(plane.reconciler.run())]
            if drift:
                tasks.append(asyncio.create_task(plane.drift.run()))
            try:
                yield world
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await world.http.aclose()

    def caller(self, token: str | None) -> httpx2.AsyncClient:
        """A client with a token."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = httpx2.ASGITransport(self.plane.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(
            transport=transport, base_url="http://orchestrator", headers=headers, timeout=60
        )

    @property
    def cluster(self) -> Cluster:
        return self.doors.cluster

    async def provision(self, *, prefer: str = "wait=20", **fields: Any) -> httpx2.Response:
        """Provision the seed's team, with some fields changed; a field given as `...` is left out."""
        body = {name: value for name, value in (SEED | fields).items() if value is not ...}
        return await self.http.post("/api/v1/admin/provision/team", json=body, headers={"Prefer": prefer})

    async def deprovision(self, *, prefer: str = "wait=20", **fields: Any) -> httpx2.Response:
        """Deprovision the seed's team."""
        body = {"org_id": SEED["org_id"], "team_node_id": SEED["team_node_id"], **fields}
        return await self.http.post("/api/v1/admin/deprovision/team", json=body, headers={"Prefer": prefer})

    async def run(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = (await self.http.get(f"/api/v1/admin/provision/runs/{run_id}")).json()
        return run

    async def run_ended(self, run_id: str) -> dict[str, Any]:
        """The run once it has ended; following its events waits for just that."""
        async for run in self.plane.services.run_watch.follow(run_id):
            if run.ended:
                break
        return await self.run(run_id)

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest | None:
        return await self.cluster.get(
            Ref(kind, "" if kind == "Namespace" else namespace or self.namespace, name)
        )

    async def exists(self, kind: str, name: str, namespace: str | None = None) -> bool:
        return await self.get(kind, name, namespace) is not None

    async def objects(self, **labels: str) -> dict[Ref, Manifest]:
        """Everything of ours in this test's namespace."""
        kinds = [
            "ResourceQuota",
            "LimitRange",
            "NetworkPolicy",
            "ServiceAccount",
            "Secret",
            "Service",
            "Deployment",
            "PodDisruptionBudget",
            "HorizontalPodAutoscaler",
            "CronJob",
        ]
        wanted = {"app.kubernetes.io/managed-by": "orchestrator"} | labels
        return {
            Ref.of(obj): obj
            for kind in kinds
            for obj in await self.cluster.list(kind, namespace=self.namespace, labels=wanted)
        }

    async def config(self, team: str = "platform-sre", org: str = "extend") -> dict[str, Any] | None:
        """What the Config Service has of the team, over its own API."""
        response = await self.http.get(f"/api/v1/internal/teams/{org}/{team}")
        return response.json() if response.status_code == 200 else None

    async def lookup(self, channel: str) -> dict[str, Any]:
        body = {"slack_channel_id": channel}
        answer: dict[str, Any] = (await self.http.post("/api/v1/internal/routing/lookup", json=body)).json()
        return answer

    async def who(self, token: str) -> httpx2.Response:
        async with self.caller(token) as caller:
            return await caller.get("/api/v1/auth/me")

    async def make_available(self, name: str, namespace: str | None = None) -> None:
        """Say of a Deployment what its controller would once its pods run."""
        deployment = await self.get("Deployment", name, namespace)
        assert deployment is not None
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": 1,
            "readyReplicas": 1,
            "updatedReplicas": 1,
            "availableReplicas": 1,
            "conditions": [
                {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": ""}
            ],
        }
        path = f"/apis/apps/v1/namespaces/{namespace or self.namespace}/deployments/{name}/status"
        await self.cluster._send(
            "PATCH",
            path,
            content=json.dumps({"status": status}),
            headers={"Content-Type": "application/merge-patch+json"},
        )
