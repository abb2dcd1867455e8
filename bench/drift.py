"""How soon an object that somebody deletes or changes by hand is back in place: `python -m bench.drift`.

The time runs from the API server's answer to the change by hand until a watch tells that the object is as it was.
"""

import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.caller import Batch
from bench.figures import percentile
from bench.processes import Bench, Broken, started
from orchestrator.cluster.client import Cluster
from orchestrator.cluster.kinds import KINDS
from orchestrator.domain.objects import FIELD_MANAGER, MANAGED_BY_LABEL, Manifest, Ref

#: The contract's target for the time until an object is back, in milliseconds (section 8).
TARGET_P99_MS = 250.0
KINDS_CHANGED = ("NetworkPolicy", "ServiceAccount", "Secret", "Service", "Deployment", "CronJob")
OURS = f"{MANAGED_BY_LABEL}={FIELD_MANAGER}"
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Repair:
    """One object that was put right."""

    kind: str
    how: str
    ms: float


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer teams and fewer changes.")] = False,
    output: Annotated[Path, typer.Option(help="File for the figures as JSON.")] = Path(
        "bench/results/drift.json"
    ),
) -> None:
    """Provision teams, delete and change their objects by hand, one after the other, and time what comes back."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(width=None if sys.stdout.isatty() else 120)
    teams, changes = (200, 60) if quick else (1000, 600)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, started(Path(folder)) as bench:
            console.print(f"provisioning {teams} teams")
            bench.full.run(Batch(first=600_000, count=teams, callers=16))
            console.print(f"{changes} changes by hand")
            before = bench.orchestrator.cpu_s()
            repairs = uvloop.run(_repairs(bench, changes))
            cpu_ms = (bench.orchestrator.cpu_s() - before) * 1000 / changes
    except Broken as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    _report(repairs, teams, cpu_ms, console)
    output.parent.mkdir(parents=True, exist_ok=True)
    each = [{"kind": repair.kind, "how": repair.how, "ms": round(repair.ms, 2)} for repair in repairs]
    output.write_text(json.dumps({"teams": teams, "repairs": each}, indent=2) + "\n")
    console.print(f"Figures: {output}")


async def _repairs(bench: Bench, changes: int) -> list[Repair]:
    cluster = Cluster.connect(str(bench.kubeconfig), timeout=timedelta(seconds=PATIENCE_S))
    headers = {"Authorization": f"Bearer {bench.token}"}
    async with httpx2.AsyncClient(base_url=bench.url, headers=headers, trust_env=False) as http:
        # So many changes without a request are what the brake is for.
        (await http.post("/api/v1/admin/brake/release")).raise_for_status()
    try:
        objects = {
            kind: (await cluster.list_versioned(kind, selector=OURS)).objects for kind in KINDS_CHANGED
        }
        repairs = []
        for number in range(changes):
            kind = KINDS_CHANGED[number % len(KINDS_CHANGED)]
            # Each of another team: one that is changed often is looked at ever more seldom, on purpose.
            obj = objects[kind][number % len(objects[kind])]
            how = "deleted" if number // len(KINDS_CHANGED) % 2 == 0 else "changed"
            repairs.append(await _repair(cluster, obj, how))
    finally:
        await cluster.close()
    return repairs


async def _repair(cluster: Cluster, obj: Manifest, how: str) -> Repair:
    kind, namespace = obj["kind"], obj["metadata"]["namespace"]
    ref = Ref(kind, namespace, obj["metadata"]["name"])
    listed = await cluster.list_versioned(kind, namespace=namespace, selector=_only(obj))
    live = next(item for item in listed.objects if item["metadata"]["name"] == ref.name)
    uid = live["metadata"]["uid"]
    is_back: Callable[[Manifest], bool]
    if how == "deleted":
        await cluster.delete(ref, uid=uid)

        def is_back(now: Manifest) -> bool:
            return bool(now["metadata"]["uid"] != uid)
    else:
        label = "app.kubernetes.io/part-of"
        wanted = live["metadata"]["labels"][label]
        metadata = {"name": ref.name, "namespace": namespace, "labels": {label: "changed"}}
        part = {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata}
        await cluster.apply(part, force=True, manager="by-hand")

        def is_back(now: Manifest) -> bool:
            return bool(now["metadata"]["labels"].get(label) == wanted)

    began = time.perf_counter()
    await asyncio.wait_for(_seen(cluster, ref, listed.version, _only(obj), uid, is_back), PATIENCE_S)
    return Repair(kind, how, (time.perf_counter() - began) * 1000)


async def _seen(
    cluster: Cluster, ref: Ref, version: str, selector: str, uid: str, is_back: Callable[[Manifest], bool]
) -> None:
    """Return when the object is as it was, after it was not."""
    changed = False
    events = cluster.watch(
        ref.kind, namespace=ref.namespace, selector=selector, version=version, quiet_s=PATIENCE_S, watch_s=60
    )
    async for event, obj in events:
        if event == "BOOKMARK" or obj["metadata"]["name"] != ref.name:
            continue
        if event == "DELETED" or (obj["metadata"]["uid"] == uid and not is_back(obj)):
            changed = True
        elif changed and is_back(obj):
            return


def _only(obj: Manifest) -> str:
    labels = obj["metadata"]["labels"]
    names = ("incidentfox.io/org-id", "incidentfox.io/team-node-id")
    return ",".join([OURS, *(f"{name}={labels[name]}" for name in names)])


def _report(repairs: list[Repair], teams: int, cpu_ms: float, console: Console) -> None:
    table = Table(title=f"Back in place, {teams} teams, {len(repairs)} changes by hand")
    for column in ("kind", "how", "p50", "p99", "longest"):
        table.add_column(column, justify="left" if column in {"kind", "how"} else "right")
    groups: dict[tuple[str, str], list[float]] = {}
    for repair in repairs:
        groups.setdefault((repair.kind, repair.how), []).append(repair.ms)
    rows: list[tuple[Any, list[float]]] = [
        *sorted(groups.items()),
        (("all", ""), [item.ms for item in repairs]),
    ]
    for (kind, how), each in rows:
        figures = (percentile(each, 0.5), percentile(each, 0.99), max(each))
        table.add_row(kind, how, *(f"{figure:.0f} ms" for figure in figures))
    console.print(table)
    p99 = percentile([repair.ms for repair in repairs], 0.99)
    verdict = "met" if p99 < TARGET_P99_MS else "MISSED"
    console.print(
        f"p99 below {TARGET_P99_MS:.0f} ms: {verdict}; {cpu_ms:.0f} ms of the orchestrator's CPU a change"
    )


if __name__ == "__main__":
    typer.run(main)
