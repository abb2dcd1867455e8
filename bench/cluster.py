"""The dev cluster's API server, as a process: `python -m bench.cluster DATA_DIR KUBECONFIG`."""

import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

import uvloop

from devcluster.registry import Registry
from devcluster.server import DevCluster, DevClusterSettings


async def serve(settings: DevClusterSettings) -> None:
    """Serve until told to stop."""
    async with DevCluster(settings) as cluster:
        work = asyncio.ensure_future(make_available(cluster.registry))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work


async def make_available(registry: Registry) -> None:
    """Stand in for controllers and nodes: every Deployment is available as soon as it is applied.

    Otherwise the orchestrator would look at ever more teams whose agents do not come up, and starting pods would be
    measured instead of the API server.
    """
    async for event in registry.watch(["Deployment"]):
        deployment = event.object
        generation = deployment["metadata"]["generation"]
        if event.type == "DELETED" or deployment["status"].get("observedGeneration") == generation:
            continue
        replicas = deployment["spec"]["replicas"]
        status = {
            "observedGeneration": generation,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
            "availableReplicas": replicas,
            "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}],
        }
        # As it is now, since it may have changed while the event waited.
        metadata = deployment["metadata"]
        if (live := registry.find("Deployment", metadata["namespace"], metadata["name"])) is not None:
            registry.update({**live, "status": status}, manager="bench", subresource="status")


def main() -> None:
    """Be the API server that both sides apply to."""
    logging.basicConfig(level=logging.WARNING)
    data_dir, kubeconfig = map(Path, sys.argv[1:])
    settings = DevClusterSettings(
        data_dir=data_dir, kubeconfig=kubeconfig, keeps_state=False, runs_controllers=False, runs_node=False
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))


if __name__ == "__main__":
    main()
