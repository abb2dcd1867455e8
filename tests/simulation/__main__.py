"""`python -m tests.simulation --seed N --steps M`: one run, again or for longer."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.simulation.simulation import quiet, simulate
from tests.simulation.virtual_time import run

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=500)
    arguments = parser.parse_args()
    with quiet(), tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(run(simulate(Path(folder), arguments.seed, arguments.steps)) + "\n")
