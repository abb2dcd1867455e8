"""`orchestrator dev-cluster`: a stand-in for Kubernetes on this machine, for development and tests."""

from pathlib import Path
from typing import Annotated

import typer


def dev_cluster(
    port: Annotated[
        int, typer.Option("--port", help="Port to listen on, on this machine only; 0 takes a free one.")
    ] = 0,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="Folder for objects, logs and the pods' files.")
    ] = Path(".orchestrator/dev-cluster"),
    kubeconfig: Annotated[
        Path | None, typer.Option("--kubeconfig", help="File to write; DATA_DIR/kubeconfig when absent.")
    ] = None,
) -> None:
    """Run the dev cluster: it answers as a Kubernetes API server does and runs pods as local processes.

    It is for development and tests, not for production. Use it with kubectl --kubeconfig FILE.
    """
    from devcluster.server import DevClusterSettings, serve
    from orchestrator.cli.start import load_settings, run_until_stopped

    file = kubeconfig or data_dir / "kubeconfig"
    settings = load_settings(
        lambda: DevClusterSettings(port=port, data_dir=data_dir, kubeconfig=file), "DEVCLUSTER_"
    )
    run_until_stopped(serve(settings))
