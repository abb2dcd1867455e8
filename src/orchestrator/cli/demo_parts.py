"""What the demo starts: each program with its settings."""

import os
import secrets
import socket
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from orchestrator.cli.children import Child, Children
from orchestrator.cli.failure import Failure

DEFAULT_PORT = 8080
NAMESPACE = "incidentfox"
_LOCALHOST = "127.0.0.1"
#: Settings of the person's own installation, which the demo must neither use nor change; and proxies, since
#: everything is on this machine.
_FOREIGN = ("ORCHESTRATOR_", "CONFIG_SERVICE_", "DEVCLUSTER_", "AGENT_")
_FOREIGN_NAMES = {"KUBECONFIG", "TEAM_TOKEN_FILE", "ORG_ID", "TEAM_NODE_ID"}
#: The machine's files as a pod of the dev cluster names them. A pod has volumes of its own (`/tmp` for one), and the
#: dev cluster leads paths below them there; the repository may well lie in the machine's `/tmp`.
_MACHINE_ROOT = "/proc/self/root"
_PROXIES = {"http_proxy", "https_proxy", "all_proxy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything of a demo lies and listens."""

    data_dir: Path
    port: int
    agent_port: int
    admin_token: str

    @property
    def url(self) -> str:
        """The orchestrator."""
        return f"http://{_LOCALHOST}:{self.port}"

    @property
    def agent_url(self) -> str:
        """The shared agent."""
        return f"http://{_LOCALHOST}:{self.agent_port}"

    @property
    def kubeconfig(self) -> Path:
        """How kubectl finds the dev cluster."""
        return self.data_dir / "kubeconfig"

    @property
    def token_file(self) -> Path:
        """Where people find the admin token."""
        return self.data_dir / "admin-token"

    @property
    def logs(self) -> Path:
        """A log per program."""
        return self.data_dir / "logs"

    @classmethod
    def prepare(cls, data_dir: Path, port: int | None) -> Self:
        """Choose what was not chosen, and make the folder with its admin token.

        Raises:
            Failure: the port that was asked for is taken.
        """
        if port is not None and not _is_free(port):
            raise Failure(f"Port {port} is taken.", hints=("Name another with --port.",))
        data_dir = data_dir.absolute()
        data_dir.mkdir(parents=True, exist_ok=True)
        if port is None:
            port = DEFAULT_PORT if _is_free(DEFAULT_PORT) else free_port()
        token = _kept_token(data_dir / "admin-token")
        return cls(data_dir=data_dir, port=port, agent_port=free_port(), admin_token=token)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOCALHOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((_LOCALHOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _kept_token(file: Path) -> str:
    """The token in the file; a new one when there is none yet."""
    if file.exists():
        return file.read_text(encoding="utf-8").strip()
    token = secrets.token_urlsafe(32)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(token + "\n")
    return token


class Parts:
    """Starts the programs of a demo.

    Each runs in the data folder, so that a `.env` of the folder where the demo was called has no say.
    """

    def __init__(self, layout: Layout, children: Children) -> None:
        self._layout = layout
        self._children = children

    async def dev_cluster(self) -> Child:
        """Start the stand-in for Kubernetes."""
        # A kubeconfig of an earlier demo would be taken for this one's.
        self._layout.kubeconfig.unlink(missing_ok=True)
        folder = self._layout.data_dir / "cluster"
        words = ("--data-dir", str(folder), "--kubeconfig", str(self._layout.kubeconfig))
        return await self._start("dev-cluster", (*_ORCHESTRATOR, "dev-cluster", *words), {})

    async def orchestrator(self) -> Child:
        """Start API, reconciler and Config Service in one process."""
        layout = self._layout
        settings = {
            "ORCHESTRATOR_HOST": _LOCALHOST,
            "ORCHESTRATOR_PORT": str(layout.port),
            "ORCHESTRATOR_DATA_DIR": str(layout.data_dir),
            "ORCHESTRATOR_DATABASE_URL": f"sqlite:///{layout.data_dir / 'orchestrator.db'}",
            "ORCHESTRATOR_ADMIN_TOKEN": layout.admin_token,
            "ORCHESTRATOR_NAMESPACE": NAMESPACE,
            "ORCHESTRATOR_AGENT_ACCESS": "proxy",
            "ORCHESTRATOR_SHARED_AGENT_URL": layout.agent_url,
            "ORCHESTRATOR_POD_CONFIG_SERVICE_URL": layout.url,
            "ORCHESTRATOR_SLACK_EXPORT_DIR": f"{_MACHINE_ROOT}{sample_export_dir()}",
            "KUBECONFIG": str(layout.kubeconfig),
        }
        return await self._start("orchestrator", (*_ORCHESTRATOR, "serve"), settings)

    async def shared_agent(self) -> Child:
        """Start the agent that all teams share."""
        settings = {
            "CONFIG_SERVICE_URL": self._layout.url,
            "AGENT_HOST": _LOCALHOST,
            "AGENT_PORT": str(self._layout.agent_port),
        }
        return await self._start("shared-agent", (sys.executable, "-m", "agent_runtime"), settings)

    async def _start(self, name: str, words: tuple[str, ...], settings: dict[str, str]) -> Child:
        environment = own_environment(dict(os.environ)) | settings
        return await self._children.start(name, words, environment, self._layout.data_dir)


_ORCHESTRATOR = (sys.executable, "-m", "orchestrator.cli")


def own_environment(environment: dict[str, str]) -> dict[str, str]:
    """The environment without settings of another installation and without proxies."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_FOREIGN) and name not in _FOREIGN_NAMES and name.lower() not in _PROXIES
    }
    if "PYTHONPATH" in kept:
        # The children run in another folder.
        entries = filter(None, kept["PYTHONPATH"].split(os.pathsep))
        kept["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in entries)
    return kept


def sample_export_dir() -> Path:
    """The bundled Slack export, found without importing the program that it belongs to.

    Raises:
        Failure: the installation is incomplete.
    """
    program = find_spec("ai_pipeline")
    if program is None or program.origin is None:
        raise Failure(
            "The AI pipeline is not installed.", hints=("Install the whole repository: make demo.",)
        )
    return Path(program.origin).parent / "sample_export"
