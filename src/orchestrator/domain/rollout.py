"""Whether a Deployment does what its latest spec asks."""

from collections.abc import Mapping
from typing import Any


def is_available(deployment: Mapping[str, Any]) -> bool:
    """Whether the Deployment is available, and its controller has seen its latest spec.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#complete-deployment
    """
    status = deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 1):
        return False
    conditions = {item["type"]: item["status"] for item in status.get("conditions") or ()}
    return conditions.get("Available") == "True" and status.get("updatedReplicas", 0) > 0
