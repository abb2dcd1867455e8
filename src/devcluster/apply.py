"""Server-side apply: one manager says all it wants of an object; what it no longer says goes."""

from dataclasses import replace

from devcluster import fieldsets
from devcluster.errors import ApiError, BadRequest
from devcluster.kinds import ResourceType
from devcluster.managers import (
    Ownership,
    Writer,
    conflict_error,
    conflicts,
    entries,
    ownable,
    ownerships,
)
from devcluster.objects import Object
from devcluster.schema import schema_of
from devcluster.typed import SchemaViolation, compare, fields_set, merge, prune

_NAME: fieldsets.FieldSet = {"f:metadata": {"f:name": {}}}


def apply(
    resource_type: ResourceType,
    live: Object | None,
    wanted: Object,
    writer: Writer,
    *,
    force: bool,
    moment: str,
) -> Object:
    """What the object becomes, owners included; equal to `live` if the apply changes nothing.

    Args:
        resource_type: the type of the object.
        live: what there is; None if the apply creates it. Not changed.
        wanted: the configuration as sent. Not changed, but shared with the result.
        writer: who applies.
        force: take fields that others own instead of failing.
        moment: the time for a changed entry of `managedFields`.

    Raises:
        Conflict: another manager owns a field that would change.
        ApiError: 500 as Kubernetes has it, when the configuration does not fit the schema.
        BadRequest: the configuration brings `managedFields`.
    """
    if wanted["metadata"].get("managedFields"):
        raise BadRequest("metadata.managedFields must be nil")
    field_type = schema_of(resource_type)
    try:
        applied = ownable(fields_set(wanted, field_type), resource_type, writer.subresource)
    except SchemaViolation as violation:
        raise ApiError(
            f"failed to create typed patch object ({described(resource_type, wanted)}): {violation}"
        ) from violation
    base = live if live is not None else {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"]}
    merged: Object = merge(base, wanted, field_type)
    mine, others = _split(ownerships(live) if live else [], writer)
    if live is not None:
        touched, _ = compare(live, merged, field_type)
        touched = ownable(touched, resource_type, writer.subresource)
        found = conflicts(others, touched) if touched else []
        if found and not force:
            raise conflict_error(found)
        for owner, shared in found:
            others[others.index(owner)] = replace(owner, fields=fieldsets.difference(owner.fields, shared))
        if mine is not None and mine.fields != applied:
            # An object keeps its name, which nobody owns, and so the metadata around it.
            kept = fieldsets.union(applied, _NAME)
            for other in others:
                kept = fieldsets.union(kept, other.fields)
            merged = prune(merged, mine.fields, kept, field_type)
    unchanged = mine is not None and mine.fields == applied
    entry = Ownership(writer, applied, moment, resource_type.api_version)
    owned = [mine if unchanged and mine is not None else entry, *others]
    merged["metadata"] = {**merged["metadata"], "managedFields": entries(owned)}
    return merged


def described(resource_type: ResourceType, obj: Object) -> str:
    """`namespace/name; apps/v1, Kind=Deployment`, as messages about an apply name the object."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "")
    group_version = resource_type.api_version if resource_type.group else f"/{resource_type.version}"
    return f"{namespace}/{metadata.get('name', '')}; {group_version}, Kind={resource_type.kind}"


def _split(owned: list[Ownership], writer: Writer) -> tuple[Ownership | None, list[Ownership]]:
    mine = next((item for item in owned if item.writer == writer), None)
    return mine, [item for item in owned if item is not mine]
