"""Who else owns a field of an object, by its `managedFields`.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.domain.objects import FIELD_MANAGER

_ITEM = re.compile(r"\[(?P<key>\w+)=(?P<value>[^\]]*)\]\.?(?P<rest>.*)", re.DOTALL)


def other_owners(live: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """The managers other than ourselves that own a field.

    Args:
        live: the object as the cluster has it.
        path: of the field, as a plan writes it: `spec.template.spec.containers[name=agent].image`.
    """
    entries = live["metadata"].get("managedFields") or ()
    owners = {
        entry["manager"]
        for entry in entries
        if entry.get("manager") != FIELD_MANAGER and _holds(entry.get("fieldsV1") or {}, path)
    }
    return tuple(sorted(owners))


def _holds(fields: Mapping[str, Any], path: str) -> bool:
    """Whether a set of owned fields holds one, or something below it."""
    if not path:
        return True
    if (item := _ITEM.match(path)) is not None:
        return any(
            _holds(below, item["rest"])
            for key, below in fields.items()
            if key.startswith("k:") and str(json.loads(key[2:]).get(item["key"])) == item["value"]
        )
    for key, below in fields.items():
        # Names may hold dots themselves, as labels do.
        name = key.removeprefix("f:")
        if key.startswith("f:") and path.startswith(name):
            rest = path[len(name) :]
            if not rest or rest[0] in ".[":
                return not below or _holds(below, rest.removeprefix("."))
    return False
