"""Kubernetes objects as the domain sees them: a reference, a manifest, and whose they are."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.team import TeamKey

Manifest = dict[str, Any]

FIELD_MANAGER = "orchestrator"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
ORG_LABEL = "incidentfox.io/org-id"
TEAM_LABEL = "incidentfox.io/team-node-id"
#: Says which manifest an object was last applied from, so that a dropped field shows as a difference.
MANIFEST_HASH_ANNOTATION = "incidentfox.io/manifest-hash"
#: Names the credential that a team's Secret holds, never its value.
TOKEN_ID_ANNOTATION = "incidentfox.io/token-id"  # noqa: S105 - the name of an annotation


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Which object: kind, namespace (empty for what belongs to no namespace) and name."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> "Ref":
        """The reference of a manifest or a live object."""
        metadata = obj["metadata"]
        return cls(obj["kind"], metadata.get("namespace", ""), metadata["name"])

    def as_dict(self) -> dict[str, str]:
        """As the API answers it."""
        return {"kind": self.kind, "name": self.name, "namespace": self.namespace}


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of an object, which a real API server leaves out when there are none."""
    return obj["metadata"].get("labels") or {}


def belongs_to(obj: Mapping[str, Any], key: TeamKey) -> bool:
    """Whether our labels say that the object is this very team's."""
    labels = labels_of(obj)
    return (
        labels.get(MANAGED_BY_LABEL) == FIELD_MANAGER
        and labels.get(ORG_LABEL) == key.org_id
        and labels.get(TEAM_LABEL) == key.team_node_id
    )


def is_going(obj: Mapping[str, Any]) -> bool:
    """Whether the object is being deleted; applying to it would bring nothing back."""
    return "deletionTimestamp" in obj["metadata"]


def with_hash(manifest: Manifest) -> Manifest:
    """The manifest with an annotation that carries its own hash."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    annotations = manifest["metadata"].get("annotations", {}) | {MANIFEST_HASH_ANNOTATION: digest}
    return manifest | {"metadata": manifest["metadata"] | {"annotations": annotations}}
