"""The controllers of a Kubernetes cluster, as far as a control plane meets them."""

from devcluster.controllers.cronjobs import CronJobs
from devcluster.controllers.deployments import Deployments
from devcluster.controllers.disruption import Budgets
from devcluster.controllers.garbage import Garbage
from devcluster.controllers.jobs import Jobs
from devcluster.controllers.namespaces import Namespaces
from devcluster.controllers.quotas import Quotas
from devcluster.controllers.replicasets import ReplicaSets
from devcluster.controllers.runner import Runner
from devcluster.controllers.services import Endpoints
from devcluster.controllers.world import World
from devcluster.objects import Clock, utc_now
from devcluster.registry import Registry

__all__ = ["Controllers"]


class Controllers:
    """All controllers on one registry."""

    def __init__(self, registry: Registry, clock: Clock = utc_now) -> None:
        world = World(registry, clock)
        self._runner = Runner(
            registry,
            world,
            [
                Namespaces(world),
                Garbage(world),
                Deployments(world),
                ReplicaSets(world),
                CronJobs(world),
                Jobs(world),
                Endpoints(world),
                Budgets(world),
                Quotas(world),
            ],
        )

    async def run(self) -> None:
        """Run them until cancelled."""
        await self._runner.run()
