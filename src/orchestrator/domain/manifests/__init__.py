"""What is wanted of a team -> Kubernetes objects."""

from orchestrator.domain.manifests.common import (
    ORG_LABEL,
    TEAM_LABEL,
    Manifest,
    labels,
    needs_secret,
    object_namespace,
    replicas,
)
from orchestrator.domain.manifests.platform import Platform
from orchestrator.domain.manifests.render import ManagedKind, kinds, render, service_url
from orchestrator.domain.manifests.secret import TOKEN_ID_ANNOTATION, render_secret, with_credential_of

__all__ = [
    "ORG_LABEL",
    "TEAM_LABEL",
    "TOKEN_ID_ANNOTATION",
    "ManagedKind",
    "Manifest",
    "Platform",
    "kinds",
    "labels",
    "needs_secret",
    "object_namespace",
    "render",
    "render_secret",
    "replicas",
    "service_url",
    "with_credential_of",
]
