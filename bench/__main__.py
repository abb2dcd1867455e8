"""`python -m bench`: measure, print, keep the figures for machines."""

import json
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import provisioning
from bench.processes import Broken


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Half a minute instead of three.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="How often the sides take turns.")] = None,
    output: Annotated[Path, typer.Option(help="File for the figures as JSON.")] = Path(
        "bench/results/provisioning.json"
    ),
) -> None:
    """Measure provisioning against a bare loop that applies the same objects with the same client.

    It starts a dev cluster and an orchestrator of its own, on free ports and with data in a temporary folder. It
    fails only when something breaks: a target that is missed is said, and is no failure.
    """
    # Told to stop from outside, too, the processes that were started are ended on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(width=None if sys.stdout.isatty() else 120)
    size = provisioning.QUICK if quick else provisioning.FULL
    if rounds is not None:
        size = replace(size, rounds=rounds)
    began = time.monotonic()
    try:
        measured = provisioning.measure(size, console)
    except Broken as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    provisioning.report(measured, console)
    output.parent.mkdir(parents=True, exist_ok=True)
    figures = provisioning.as_json(measured, size, time.monotonic() - began)
    output.write_text(json.dumps(figures, indent=2) + "\n")
    console.print(f"Figures: {output}")


if __name__ == "__main__":
    typer.run(main)
