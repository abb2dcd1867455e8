"""In which form objects are answered: whole, metadata only, or as the table that kubectl prints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from devcluster.errors import NotAcceptable
from devcluster.kinds import EVENTS_V1, ResourceType
from devcluster.objects import Clock, Object
from devcluster.tables import table

_JSON_TYPES = frozenset({"application/json", "*/*", "application/*", "text/*"})
_META = "meta.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Representation:
    """How to show objects of one type to one caller.

    Attributes:
        form: whole, metadata or table.
        resource_type: their type, as the caller knows it.
        now: the clock for ages in tables.
        includes: how much of an object a table row brings: None, Metadata or Object.
    """

    form: str
    resource_type: ResourceType
    now: Clock
    includes: str = "Metadata"

    def one(self, obj: Object) -> Any:
        """One object."""
        if self.form == "whole":
            return self._shown(obj)
        if self.form == "metadata":
            return _metadata_only(obj)
        return table(self.resource_type, [obj], obj["metadata"], self.now(), includes=self.includes)

    def many(self, objects: Sequence[Object], metadata: dict[str, Any]) -> Any:
        """A list."""
        if self.form == "table":
            return table(self.resource_type, objects, metadata, self.now(), includes=self.includes)
        if self.form == "metadata":
            items = [_metadata_only(obj) for obj in objects]
            kind = "PartialObjectMetadataList"
            return {"kind": kind, "apiVersion": _META, "metadata": metadata, "items": items}
        kind = f"{self.resource_type.kind}List"
        bare = [_without_type(self._shown(obj)) for obj in objects]
        return {
            "kind": kind,
            "apiVersion": self.resource_type.api_version,
            "metadata": metadata,
            "items": bare,
        }

    def stream(self) -> Callable[[Object], Any]:
        """What shows the objects of a watch one after the other; a table names its columns only once."""
        if self.form != "table":
            return self.one
        first = True

        def show(obj: Object) -> Any:
            nonlocal first
            shown = self.one(obj)
            if not first:
                del shown["columnDefinitions"]
            first = False
            return shown

        return show

    def _shown(self, obj: Object) -> Object:
        return as_events_v1(obj) if self.resource_type is EVENTS_V1 else obj


def negotiate(
    accept: str, resource_type: ResourceType, now: Clock, includes: str = "Metadata"
) -> Representation:
    """The first form in an `Accept` header that the server has.

    Raises:
        NotAcceptable: it has none of them.
    """
    for offer in (accept or "*/*").split(","):
        media_type, *parameters = (part.strip() for part in offer.split(";"))
        if media_type not in _JSON_TYPES:
            continue
        wanted = dict(parameter.partition("=")[::2] for parameter in parameters)
        shape = wanted.get("as")
        if shape is None:
            return Representation("whole", resource_type, now)
        if wanted.get("v") != "v1" or wanted.get("g") != "meta.k8s.io":
            continue
        if shape in {"PartialObjectMetadata", "PartialObjectMetadataList"}:
            return Representation("metadata", resource_type, now)
        if shape == "Table":
            return Representation("table", resource_type, now, includes)
    raise NotAcceptable(
        "only the following media types are accepted: application/json, application/json;stream=watch",
        details={},
    )


def as_events_v1(obj: Object) -> Object:
    """A core event as the group events.k8s.io names its fields."""
    shown: Object = {"apiVersion": EVENTS_V1.api_version, "kind": "Event", "metadata": obj["metadata"]}
    for ours, theirs in _EVENT_FIELDS.items():
        if obj.get(ours) not in {None, ""}:
            shown[theirs] = obj[ours]
    shown["eventTime"] = obj.get("eventTime")
    shown["regarding"] = obj.get("involvedObject", {})
    shown["deprecatedSource"] = obj.get("source", {})
    shown["deprecatedFirstTimestamp"] = obj.get("firstTimestamp")
    shown["deprecatedLastTimestamp"] = obj.get("lastTimestamp")
    return shown


def from_events_v1(obj: Object) -> Object:
    """An event of the group events.k8s.io as the core event that is stored."""
    stored: Object = {"apiVersion": "v1", "kind": "Event", "metadata": obj["metadata"]}
    for ours, theirs in _EVENT_FIELDS.items():
        if theirs in obj:
            stored[ours] = obj[theirs]
    stored["eventTime"] = obj.get("eventTime")
    stored["involvedObject"] = obj.get("regarding", {})
    stored["source"] = obj.get("deprecatedSource", {})
    return stored


_EVENT_FIELDS = {
    "action": "action",
    "count": "deprecatedCount",
    "message": "note",
    "reason": "reason",
    "related": "related",
    "reportingComponent": "reportingController",
    "reportingInstance": "reportingInstance",
    "series": "series",
    "type": "type",
}


def _metadata_only(obj: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}


def _without_type(obj: Object) -> Object:
    """Items of a list do not repeat its type."""
    return {key: value for key, value in obj.items() if key not in {"kind", "apiVersion"}}
