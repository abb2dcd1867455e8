"""What the API server refuses, as types; each knows the `Status` object that a client gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cause:
    """One field that is to blame, as `details.causes` lists it.

    Attributes:
        reason: a constant such as `FieldValueInvalid`.
        field: the path, `spec.ports[0].port`.
        message: the sentence without the path.
    """

    reason: str
    field: str
    message: str


class ApiError(Exception):
    """An answer that is not a success.

    Attributes:
        status: the HTTP status.
        reason: the constant clients compare; empty where Kubernetes gives none (a plain 500).
        message: the sentence.
        details: `details` of the Status object; None leaves the member out.
    """

    status = 500
    reason = ""

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        status: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        if status is not None:
            self.status = status
        if reason is not None:
            self.reason = reason

    def body(self) -> dict[str, Any]:
        """The `Status` object."""
        body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body["message"] = self.message
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = dict(self.details)
        return body | {"code": self.status}


class BadRequest(ApiError):
    """The call cannot be understood."""

    status, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    """The bearer token is not known."""

    status, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    """The caller may not, a quota is used up, or the namespace is going away."""

    status, reason = 403, "Forbidden"


class NotFound(ApiError):
    """There is no such object, or no such resource."""

    status, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    """The resource knows no such verb."""

    status, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    """No representation that the caller accepts."""

    status, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    """An object of that name is there already."""

    status, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    """Somebody else changed the object, or owns the field."""

    status, reason = 409, "Conflict"


class Expired(ApiError):
    """The asked-for resourceVersion is no longer kept."""

    status, reason = 410, "Expired"


class UnsupportedMediaType(ApiError):
    """A body of a type that the verb does not take."""

    status, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """The object breaks a rule of its kind; every broken rule is named."""

    status, reason = 422, "Invalid"

    @classmethod
    def of(cls, *, group: str, kind: str, name: str, causes: Sequence[Cause]) -> "Invalid":
        """The refusal of one object with all its causes."""
        sentences = [f"{cause.field}: {cause.message}" for cause in causes]
        listed = sentences[0] if len(sentences) == 1 else f"[{', '.join(sentences)}]"
        qualified = f"{kind}.{group}" if group else kind
        details: dict[str, Any] = {}
        if name:
            details["name"] = name
        if group:
            details["group"] = group
        details["kind"] = kind
        details["causes"] = [
            {"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes
        ]
        return cls(f'{qualified} "{name}" is invalid: {listed}', details=details)
