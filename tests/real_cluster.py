"""A real API server for the integration tests: one that is given, or etcd and kube-apiserver started from a folder."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import yaml

#: How long the two programs may take to answer, in seconds.
PATIENCE_S = 60.0


def is_given() -> bool:
    """Whether the tests are to run on a real cluster."""
    return bool(os.environ.get("ORCHESTRATOR_TEST_KUBECONFIG") or os.environ.get("KUBEBUILDER_ASSETS"))


@contextlib.contextmanager
def real_cluster() -> Iterator[Path]:
    """The kubeconfig of the cluster that `ORCHESTRATOR_TEST_KUBECONFIG` or `KUBEBUILDER_ASSETS` names."""
    if given := os.environ.get("ORCHESTRATOR_TEST_KUBECONFIG"):
        yield Path(given)
        return
    assets = Path(os.environ["KUBEBUILDER_ASSETS"])
    with tempfile.TemporaryDirectory(prefix="kube-apiserver-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        peer, client, secure = _free_port(), _free_port(), _free_port()
        etcd_url = f"http://127.0.0.1:{client}"
        _start(
            stack,
            folder / "etcd.log",
            assets / "etcd",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={etcd_url}",
            f"--advertise-client-urls={etcd_url}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        )
        key = folder / "service-account.key"
        subprocess.run([_program("openssl"), "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        token = secrets.token_urlsafe(24)
        (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
        _start(
            stack,
            folder / "apiserver.log",
            assets / "kube-apiserver",
            f"--etcd-servers={etcd_url}",
            f"--secure-port={secure}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={folder / 'certs'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--service-account-issuer=https://127.0.0.1",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            # No controller makes the default ServiceAccount here.
            "--disable-admission-plugins=ServiceAccount",
        )
        url = f"https://127.0.0.1:{secure}"
        _wait_until_ready(url, token)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(_kubeconfig(url, token)))
        yield kubeconfig


def _kubeconfig(url: str, token: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    }


def _start(stack: contextlib.ExitStack, log: Path, *command: str | Path) -> None:
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    stack.callback(process.wait, 30)
    stack.callback(process.terminate)


def _wait_until_ready(url: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    deadline = time.monotonic() + PATIENCE_S
    with httpx2.Client(verify=False, headers=headers, trust_env=False) as http:
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx2.TransportError):
                if http.get(f"{url}/readyz").status_code == 200:
                    return
            time.sleep(0.2)
    raise TimeoutError(f"the API server at {url} did not become ready")


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is needed to run the tests on a real API server"
    return found


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
