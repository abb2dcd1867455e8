"""What a real API server answered, step by step."""

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parents[2] / "kube_recordings"


def steps(scenario: str) -> list[dict[str, Any]]:
    """The steps of a scenario, in order."""
    recorded = json.loads((_FOLDER / f"{scenario}.json").read_text(encoding="utf-8"))
    return recorded["steps"]


def was_taken(step: dict[str, Any]) -> bool:
    """Whether the API server took what was sent."""
    return step["response"]["status"] < 300


def note(step: dict[str, Any]) -> str:
    """A name for a test's parameter."""
    return step.get("note") or step["request"]["path"]


def scenarios() -> list[str]:
    """The names of all scenarios."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))
