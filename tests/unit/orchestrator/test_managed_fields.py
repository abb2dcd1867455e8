"""Who else owns a field."""

from typing import Any

import pytest

from orchestrator.domain.managed_fields import other_owners

FIELDS: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:app.kubernetes.io/part-of": {}, ".": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:template": {"f:spec": {"f:containers": {'k:{"name":"agent"}': {".": {}, "f:image": {}}}}},
    },
}


def live(manager: str = "kubectl-edit", fields: dict[str, Any] = FIELDS) -> dict[str, Any]:
    ours = {"manager": "orchestrator", "operation": "Apply", "fieldsV1": FIELDS}
    return {
        "metadata": {"managedFields": [ours, {"manager": manager, "operation": "Update", "fieldsV1": fields}]}
    }


@pytest.mark.parametrize(
    "path",
    [
        "spec.replicas",
        "metadata.labels.app.kubernetes.io/part-of",
        "spec.template.spec.containers[name=agent].image",
        "spec.template.spec.containers[name=agent]",
        "spec.template",
    ],
)
def test_a_field_that_somebody_else_owns(path: str) -> None:
    assert other_owners(live(), path) == ("kubectl-edit",)


@pytest.mark.parametrize(
    "path",
    [
        "spec.replica",
        "spec.replicasets",
        "metadata.labels.app.kubernetes.io/name",
        "spec.template.spec.containers[name=other].image",
        "spec.template.spec.containers[name=agent].command",
    ],
)
def test_a_field_that_nobody_else_owns(path: str) -> None:
    assert other_owners(live(), path) == ()


def test_an_object_without_managers_has_none() -> None:
    assert other_owners({"metadata": {}}, "spec") == ()
