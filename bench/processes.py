"""The processes of a run: the dev cluster, the orchestrator, and a client for each side."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import msgspec

from bench.caller import Batch, Timed

#: How long a process may take until it answers, and until it ends when told to, in seconds.
PATIENCE_S = 120.0
_LOOK_EVERY_S = 0.02
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Broken(Exception):
    """A process that the measurement needs did not do its part."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process that runs, and where its output goes."""

    name: str
    process: subprocess.Popen[str]
    log: Path

    def cpu_s(self) -> float:
        """CPU time that the process has used so far, in seconds; 0 where there is no `/proc`."""
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return 0.0
        # The name of the program may hold spaces; what follows its closing parenthesis does not.
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS

    def until(self, ready: Callable[[], bool]) -> None:
        """Wait until the program is ready.

        Raises:
            Broken: it ended, or did not become ready in time.
        """
        give_up_at = time.monotonic() + PATIENCE_S
        while not ready():
            if self.process.poll() is not None or time.monotonic() > give_up_at:
                raise self.broken("did not start")
            time.sleep(_LOOK_EVERY_S)

    def broken(self, what: str) -> Broken:
        """An error that shows the end of the program's log."""
        tail = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        return Broken(f"{self.name} {what}. The end of its log:\n{tail}")


@dataclass(frozen=True, slots=True)
class Client:
    """A side's client process."""

    program: Program

    def run(self, batch: Batch) -> Timed:
        """Have a batch of teams provisioned.

        Raises:
            Broken: one could not be.
        """
        process = self.program.process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(batch).decode() + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            process.wait(PATIENCE_S)
            raise self.program.broken("ended")
        return msgspec.json.decode(line, type=Timed)


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that runs."""

    cluster: Program
    orchestrator: Program
    bare: Client
    full: Client
    #: How to reach the cluster.
    kubeconfig: Path
    #: How to reach the orchestrator.
    url: str
    token: str


@contextmanager
def started(folder: Path) -> Iterator[Bench]:
    """Start everything with data in `folder`; the end stops it.

    Raises:
        Broken: a process does not start.
    """
    kubeconfig = folder / "kubeconfig"
    port = _free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")},
        "KUBECONFIG": str(kubeconfig),
        "ORCHESTRATOR_DATA_DIR": str(folder / "orchestrator"),
        "ORCHESTRATOR_PORT": str(port),
        "ORCHESTRATOR_ADMIN_TOKEN": secrets.token_urlsafe(24),
    }
    environment.pop("CONFIG_SERVICE_URL", None)
    with ExitStack() as stack:

        def start(name: str, *words: str) -> Program:
            return stack.enter_context(_running(name, words, environment, folder / f"{name}.log"))

        cluster = start("dev-cluster", "bench.cluster", str(folder / "cluster"), str(kubeconfig))
        cluster.until(kubeconfig.exists)
        orchestrator = start("orchestrator", "orchestrator.cli", "serve")
        orchestrator.until(lambda: _answers(f"http://127.0.0.1:{port}/readyz"))
        bare = Client(start("bare-loop", "bench.caller", "bare"))
        full = Client(start("api-client", "bench.caller", "orchestrator"))
        token = environment["ORCHESTRATOR_ADMIN_TOKEN"]
        yield Bench(cluster, orchestrator, bare, full, kubeconfig, f"http://127.0.0.1:{port}", token)


@contextmanager
def _running(
    name: str, words: tuple[str, ...], environment: Mapping[str, str], log: Path
) -> Iterator[Program]:
    is_client = words[0] == "bench.caller"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            env=environment,
            stdin=subprocess.PIPE if is_client else subprocess.DEVNULL,
            stdout=subprocess.PIPE if is_client else output,
            stderr=output,
            text=True,
        )
    try:
        yield Program(name, process, log)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        else:
            process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=1, trust_env=False).is_success
    except httpx2.TransportError:
        return False
