"""Who writes, and `metadata.managedFields`, which remembers it."""

from dataclasses import dataclass

from devcluster.kinds import ResourceType
from devcluster.objects import Object


@dataclass(frozen=True, slots=True)
class Writer:
    """Who makes a write.

    Attributes:
        manager: the name of the field manager.
        operation: Apply or Update.
        subresource: `status`, `scale`, or None for the object itself.
    """

    manager: str
    operation: str
    subresource: str | None = None


def carry_managed_fields(
    _resource_type: ResourceType, obj: Object, live: Object | None, _writer: Writer, _moment: str
) -> None:
    """Bring the owners of fields up to date in `obj`."""
    if live is not None and "managedFields" in live["metadata"]:
        obj["metadata"]["managedFields"] = live["metadata"]["managedFields"]
