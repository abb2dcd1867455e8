"""Who writes, and `metadata.managedFields`, which remembers which fields are whose."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from devcluster import fieldsets
from devcluster.errors import Conflict
from devcluster.fieldsets import FieldSet
from devcluster.kinds import ResourceType
from devcluster.objects import Object
from devcluster.schema import schema_of
from devcluster.typed import SchemaViolation, compare, fields_set

_UNOWNED = frozenset({"f:apiVersion", "f:kind"})
#: Metadata that nobody owns: it names the object or belongs to the server.
_UNOWNED_METADATA = frozenset(
    f"f:{name}"
    for name in (
        "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation",
        "managedFields", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName",
    )
)  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class Ownership:
    """One entry of `managedFields`."""

    writer: Writer
    fields: FieldSet
    time: str
    api_version: str

    @classmethod
    def of(cls, entry: dict[str, Any]) -> "Ownership":
        """Read an entry."""
        writer = Writer(entry.get("manager", ""), entry["operation"], entry.get("subresource"))
        return cls(writer, entry.get("fieldsV1") or {}, entry.get("time", ""), entry.get("apiVersion", ""))

    def entry(self) -> dict[str, Any]:
        """Write the entry."""
        entry = {"manager": self.writer.manager, "operation": self.writer.operation}
        entry |= {"apiVersion": self.api_version, "time": self.time, "fieldsType": "FieldsV1"}
        written: dict[str, Any] = entry | {"fieldsV1": self.fields}
        if self.writer.subresource:
            written["subresource"] = self.writer.subresource
        return written


def ownerships(obj: Object) -> list[Ownership]:
    """All entries of an object."""
    return [Ownership.of(entry) for entry in obj["metadata"].get("managedFields", ())]


def entries(owned: Iterable[Ownership]) -> list[dict[str, Any]]:
    """Entries in the order of the API server: those of appliers first, then by time and name."""
    kept = [item for item in owned if item.fields]
    kept.sort(
        key=lambda item: (
            item.writer.operation,
            item.time,
            item.writer.manager,
            item.writer.subresource or "",
        )
    )
    return [item.entry() for item in kept]


def ownable(fields: FieldSet, resource_type: ResourceType, subresource: str | None) -> FieldSet:
    """The part of a set that a writer can come to own: not names, not what its door does not change."""
    result = {key: node for key, node in fields.items() if key not in _UNOWNED}
    if subresource == "status":
        result = {key: node for key, node in result.items() if key == "f:status"}
    elif resource_type.has_status:
        result.pop("f:status", None)
    if "f:metadata" in result:
        metadata = {key: node for key, node in result["f:metadata"].items() if key not in _UNOWNED_METADATA}
        if metadata:
            result["f:metadata"] = metadata
        else:
            del result["f:metadata"]
    return result


def carry_managed_fields(
    resource_type: ResourceType, obj: Object, live: Object | None, writer: Writer, moment: str
) -> None:
    """Bring the owners in `obj` up to date after a create, replace or patch: who changes a field owns it."""
    if writer.operation == "Apply":
        return
    field_type = schema_of(resource_type)
    touched: FieldSet
    removed: FieldSet = {}
    try:
        if live is None:
            touched = fields_set(obj, field_type)
        else:
            touched, removed = compare(_comparable(live), _comparable(obj), field_type)
    except SchemaViolation:
        # An item without its key: validation will refuse the object, and in better words.
        return
    touched = ownable(touched, resource_type, writer.subresource)
    removed = ownable(removed, resource_type, writer.subresource)
    if touched or removed:
        mine = Ownership(writer, touched, moment, resource_type.api_version)
        obj["metadata"]["managedFields"] = entries(
            _shared_out(ownerships(live) if live else [], mine, removed)
        )
    elif live is not None and "managedFields" in live["metadata"]:
        obj["metadata"]["managedFields"] = live["metadata"]["managedFields"]


def _shared_out(before: Iterable[Ownership], mine: Ownership, removed: FieldSet) -> list[Ownership]:
    """The owners after a writer touched the fields of `mine`: those are its alone, removed ones nobody's."""
    owned, touched = [], mine.fields
    for item in before:
        left = fieldsets.difference(item.fields, removed) if removed else item.fields
        if item.writer == mine.writer:
            mine = replace(mine, fields=fieldsets.union(left, touched))
        else:
            owned.append(replace(item, fields=fieldsets.difference(left, touched)))
    return [*owned, mine]


def conflicts(others: Iterable[Ownership], touched: FieldSet) -> list[tuple[Ownership, FieldSet]]:
    """Which other managers own something of what is touched."""
    found = []
    for owner in others:
        shared = fieldsets.intersection(owner.fields, touched)
        if shared:
            found.append((owner, shared))
    return found


def conflict_error(found: Iterable[tuple[Ownership, FieldSet]]) -> Conflict:
    """The refusal of an apply without force, with a cause per field."""
    listed = sorted(
        ((_printed(owner), path) for owner, shared in found for path in fieldsets.paths(shared)),
    )
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": path}
        for owner, path in listed
    ]
    if len(listed) == 1:
        sentence = f"Apply failed with 1 conflict: conflict with {listed[0][0]}: {listed[0][1]}"
    else:
        lines = []
        for owner in dict.fromkeys(owner for owner, _ in listed):
            lines.append(f"conflicts with {owner}:")
            lines += [f"- {path}" for holder, path in listed if holder == owner]
        sentence = f"Apply failed with {len(listed)} conflicts: " + "\n".join(lines)
    return Conflict(sentence, details={"causes": causes})


def _printed(owner: Ownership) -> str:
    text = f'"{owner.writer.manager}"'
    if owner.writer.subresource:
        text += f' with subresource "{owner.writer.subresource}"'
    if owner.writer.operation == "Update":
        text += f" using {owner.api_version} at {owner.time}"
    return text


def _comparable(obj: Object) -> Object:
    """The object without the metadata that nobody owns, so that comparing skips it."""
    metadata = {key: value for key, value in obj["metadata"].items() if f"f:{key}" not in _UNOWNED_METADATA}
    return {**obj, "metadata": metadata}
