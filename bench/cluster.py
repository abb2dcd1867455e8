"""The dev cluster's API server alone, as a process: `python -m bench.cluster DATA_DIR KUBECONFIG`."""

import asyncio
import logging
import sys
from pathlib import Path

import uvloop

from devcluster.server import DevClusterSettings, serve


def main() -> None:
    """Serve until told to stop; no controllers and no pods, so that only the API server is measured."""
    logging.basicConfig(level=logging.WARNING)
    data_dir, kubeconfig = map(Path, sys.argv[1:])
    settings = DevClusterSettings(
        data_dir=data_dir,
        kubeconfig=kubeconfig,
        keeps_state=False,
        runs_controllers=False,
        runs_node=False,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))


if __name__ == "__main__":
    main()
