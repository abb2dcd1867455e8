"""A pipeline run outside its schedule."""

from collections.abc import Mapping
from typing import Any

from orchestrator.domain.objects import Manifest

#: A Job's name becomes a label of its pods, which holds 63 characters.
_NAME_LIMIT = 63


def job_from_cronjob(cronjob: Mapping[str, Any], *, suffix: str) -> Manifest:
    """A Job as the CronJob would make it, owned by it and so removed with it.

    The annotation is the one that `kubectl create job --from` sets.
    """
    template = cronjob["spec"]["jobTemplate"]
    metadata = cronjob["metadata"]
    name = f"{metadata['name'][: _NAME_LIMIT - 1 - len(suffix)]}-{suffix}"
    annotations = dict((template.get("metadata") or {}).get("annotations") or {})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": dict((template.get("metadata") or {}).get("labels") or {}),
            "annotations": annotations | {"cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": template["spec"],
    }
