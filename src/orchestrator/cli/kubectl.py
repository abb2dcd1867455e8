"""A cluster as kubectl shows it: by kubectl itself where it is installed, else by the same tables."""

import asyncio
import os
import ssl
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import yaml

from orchestrator.cli.failure import Failure

#: Where the kinds that people look at here are served: by the name that kubectl takes.
PATHS: Mapping[str, str] = {
    "cronjob": "/apis/batch/v1/namespaces/{namespace}/cronjobs",
    "deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "service": "/api/v1/namespaces/{namespace}/services",
    "job": "/apis/batch/v1/namespaces/{namespace}/jobs",
    "pod": "/api/v1/namespaces/{namespace}/pods",
}
_AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Cluster:
    """What a person with a kubeconfig can see.

    Args:
        kubeconfig: the file; its current context's server and token are used.
        namespace: where to look.
        kubectl: the program; `None` when it is not installed.
    """

    def __init__(self, kubeconfig: Path, namespace: str, *, kubectl: str | None) -> None:
        self._kubectl = kubectl
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self._http = http_client(yaml.safe_load(kubeconfig.read_text(encoding="utf-8")))

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def is_ready(self) -> bool:
        """Whether the API server answers."""
        try:
            return (await self._http.get("/readyz")).is_success
        except httpx2.TransportError:
            return False

    async def ensure_namespace(self) -> None:
        """Make the namespace unless it is there."""
        wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        response = await self._http.post("/api/v1/namespaces", json=wanted)
        if response.status_code != httpx2.codes.CONFLICT:
            _read(response)

    async def get(self, kind: str, name: str) -> Any:
        """An object as it is now; `None` when there is none."""
        response = await self._http.get(f"{self._path(kind)}/{name}")
        return None if response.status_code == httpx2.codes.NOT_FOUND else _read(response).json()

    async def log_of_job(self, name: str) -> str:
        """What the pods of a Job have written."""
        selector = {"labelSelector": f"batch.kubernetes.io/job-name={name}"}
        pods = _read(await self._http.get(self._path("pod"), params=selector)).json()["items"]
        logs = [
            _read(await self._http.get(f"{self._path('pod')}/{pod['metadata']['name']}/log")).text
            for pod in pods
        ]
        return "\n".join(logs)

    async def show(self, kind: str, *names: str, selector: str | None = None) -> tuple[str, str]:
        """A `kubectl get` with its answer.

        Args:
            kind: one kind, or several with commas between.
            names: the objects; all when none is named.
            selector: only what carries these labels.

        Returns:
            The command line as a person types it, and what it writes.
        """
        words = [
            "kubectl",
            "get",
            kind,
            *names,
            "-n",
            self.namespace,
            *(("-l", selector) if selector else ()),
        ]
        return " ".join(words), await self._by_kubectl(words) or await self._by_tables(kind, names, selector)

    async def _by_kubectl(self, words: list[str]) -> str | None:
        if self._kubectl is None:
            return None
        process = await asyncio.create_subprocess_exec(
            self._kubectl,
            *words[1:],
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        # A kubectl that cannot run here (too old, a broken wrapper) must not stand in the way.
        return output.decode(errors="replace").rstrip() if process.returncode == 0 else None

    async def _by_tables(self, kinds: str, names: tuple[str, ...], selector: str | None) -> str:
        params = {"labelSelector": selector} if selector else {}
        parts = []
        for kind in kinds.split(","):
            paths = [f"{self._path(kind)}/{name}" for name in names] or [self._path(kind)]
            for path in paths:
                response = await self._http.get(path, params=params, headers={"Accept": _AS_TABLE})
                if text := table_text(_read(response).json()):
                    parts.append(text)
        return "\n\n".join(parts) or f"No resources found in {self.namespace} namespace."

    def _path(self, kind: str) -> str:
        return PATHS[kind].format(namespace=self.namespace)


def _read(response: httpx2.Response) -> httpx2.Response:
    if response.is_error:
        raise Failure(f"The cluster answered {response.status_code} to {response.url}: {response.text[:300]}")
    return response


def table_text(table: Mapping[str, Any]) -> str:
    r"""A `meta.k8s.io/v1` Table as kubectl writes it: the columns of priority 0, three spaces between.

    >>> table_text({"columnDefinitions": [{"name": "Name"}], "rows": [{"cells": ["agent"]}]})
    'NAME\nagent'
    """
    columns = table["columnDefinitions"]
    shown = [index for index, column in enumerate(columns) if not column.get("priority")]
    rows = [[str(row["cells"][index]) for index in shown] for row in table.get("rows") or ()]
    if not rows:
        return ""
    lines = [[columns[index]["name"].upper() for index in shown], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def http_client(config: Mapping[str, Any]) -> httpx2.AsyncClient:
    """A connection to the server of a kubeconfig's current context, with its token."""
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    authority = cluster.get("certificate-authority-data")
    verify: ssl.SSLContext | bool = True
    if authority:
        verify = ssl.create_default_context(cadata=b64decode(authority).decode())
    # The cluster is on this machine: no proxy of the environment has a say.
    return httpx2.AsyncClient(base_url=cluster["server"], headers=headers, verify=verify, trust_env=False)


def _named(entries: list[Any], name: str) -> Any:
    return next(entry for entry in entries if entry["name"] == name)
