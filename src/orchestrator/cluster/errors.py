"""What can go wrong at the cluster, told apart by what is to be done about it."""

import json
from collections.abc import Mapping
from typing import Any

import httpx2

from orchestrator.domain.objects import Ref
from orchestrator.errors import ClusterForbade, ClusterRefused, DependencyAway, ResourceOwnedByAnother

#: A server-side apply of a field that the schema does not know, or of a wrong type, is answered 500 without a
#: reason; it is a refusal all the same (recordings: unknown-fields, container-resources, quotas, secrets).
_TYPED_REFUSALS = ("failed to create typed patch object", "failed to convert new object", "unable to convert")
_AWAY = frozenset({401, 408, 429, 502, 503, 504})


class ClusterError(Exception):
    """The cluster answered with an error.

    Attributes:
        status: the HTTP status.
        reason: Kubernetes' reason, empty where it gives none.
        message: the cluster's own words.
        causes: field paths, where the cluster names them.
    """

    def __init__(self, status: int, reason: str, message: str, causes: tuple[str, ...] = ()) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes


class Refused(ClusterError):
    """The cluster will not take this, however often it is asked."""


class Missing(ClusterError):
    """The object, or the namespace it should go into, does not exist."""


class Conflicted(ClusterError):
    """Somebody else owns a field, or the object is not the one that was looked at."""


class WatchExpired(ClusterError):
    """The history that was asked for is gone; only a new list helps."""


class ClusterAway(DependencyAway):
    """The cluster does not answer, or asks to come back later."""

    def __init__(self, cause: str, *, retry_after_s: float | None = None) -> None:
        super().__init__("cluster", cause, retry_after_s=retry_after_s)


def error_of(response: httpx2.Response) -> ClusterError | ClusterAway:
    """The error that an answer of 400 or above stands for."""
    return error_of_status(response.status_code, _status_body(response), response)


def error_of_status(
    status: int, body: Mapping[str, Any], response: httpx2.Response | None = None
) -> ClusterError | ClusterAway:
    """The error that a Status object stands for, as an answer or within a watch."""
    reason = str(body.get("reason", ""))
    message = str(body.get("message", ""))
    if not message and response is not None:
        message = response.text[:500] or response.reason_phrase
    details = body.get("details") or {}
    stated = details.get("causes") or ()
    causes = tuple(str(cause.get("field", "")) for cause in stated)
    terminating = any(cause.get("reason") == "NamespaceTerminating" for cause in stated)
    if status in _AWAY or terminating or (status >= 500 and not message.startswith(_TYPED_REFUSALS)):  # noqa: PLR2004 - server errors
        return ClusterAway(
            f"{status} {message}", retry_after_s=_retry_after(response) if response is not None else None
        )
    kind = {404: Missing, 409: Conflicted, 410: WatchExpired}.get(status, Refused)
    return kind(status, reason, message, causes)


def refusal(ref: Ref, error: ClusterError) -> ClusterRefused | ClusterForbade:
    """The cluster's refusal as a caller is told."""
    forbidden = 403
    kind = ClusterForbade if isinstance(error, Refused) and error.status == forbidden else ClusterRefused
    errors = [{"field": cause, "message": error.message} for cause in error.causes if cause]
    return kind(kind=ref.kind, name=ref.name, message=error.message, errors=errors)


def owned_by_another(ref: Ref) -> ResourceOwnedByAnother:
    """A name that a team needs is taken, as a caller is told."""
    return ResourceOwnedByAnother(kind=ref.kind, name=ref.name, namespace=ref.namespace)


def _status_body(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(response: httpx2.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else None
