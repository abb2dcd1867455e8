"""The agent as a process, and what a test says to it."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import httpx2


@dataclass
class RunningAgent:
    process: subprocess.Popen[bytes]
    http: httpx2.Client

    def ask(self, token: str | None, message: Any, *, name: str = "sre", **body: Any) -> httpx2.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.http.post(f"/agents/{name}/run", json={"message": message} | body, headers=headers)

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, "the agent ended instead of serving"
            try:
                self.http.get("/health")
            except httpx2.ConnectError:
                assert time.monotonic() < deadline, "the agent did not come up"
                time.sleep(0.02)
            else:
                return

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        return self.process.wait(timeout=30)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def start_agent_process(config_service_url: str, **environment: str) -> RunningAgent:
    port = _free_port()
    settings = {"AGENT_HOST": "127.0.0.1", "AGENT_PORT": str(port), "CONFIG_SERVICE_URL": config_service_url}
    process = subprocess.Popen(
        [sys.executable, "-m", "agent_runtime"],
        env=os.environ | {"PYTHONPATH": "src"} | settings | environment,
    )
    agent = RunningAgent(process, httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20))
    agent.wait_until_up()
    return agent
