"""Errors as types with facts, answered as RFC 9457 problem details in one place."""

import string
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from servicekit.errors import DatabaseAway

log = structlog.get_logger()


class Problem(Exception):
    """Base of everything a caller is told. A subclass's docstring is the sentence, its arguments the facts.

    Attributes:
        status: the HTTP status.
        code: the last part of `type`, a constant that clients may compare.
        errors: pairs of field and message, where a field is to blame.
        extra: further members of the answer, `provisioning_run_id` for one.
        headers: headers of the answer, `Retry-After` for one.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"

    def __init__(
        self,
        *,
        errors: list[dict[str, str]] | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> None:
        self.facts = facts
        self.errors = errors or []
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})
        first = (type(self).__doc__ or "").strip().splitlines()[0]
        self.detail = string.Formatter().vformat(first, (), facts)
        super().__init__(self.detail)


class Unauthorized(Problem):
    """The bearer token is missing or unknown."""

    status, code = 401, "unauthorized"

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class Forbidden(Problem):
    """{reason}"""  # noqa: D415 - the whole sentence is a fact

    status, code = 403, "forbidden"


class NotFound(Problem):
    """{what} does not exist."""

    status, code = 404, "not_found"


class Invalid(Problem):
    """The request is not valid: {summary}"""  # noqa: D415

    status, code = 422, "invalid"

    @classmethod
    def field(cls, field: str, message: str) -> "Invalid":
        """One field is to blame."""
        return cls(summary=f"{field}: {message}", errors=[{"field": field, "message": message}])


class Unavailable(Problem):
    """{what} is not available at the moment; nothing was changed."""

    status, code = 503, "unavailable"

    def __init__(self, what: str, *, retry_after_s: int = 5) -> None:
        super().__init__(what=what, headers={"Retry-After": str(retry_after_s)})


_TITLES = {400: "Bad request", 401: "Unauthorized", 403: "Forbidden", 404: "Not found", 409: "Conflict"}
_TITLES |= {405: "Method not allowed", 412: "Precondition failed", 413: "Content too large"}
_TITLES |= {422: "Unprocessable content", 429: "Too many requests", 503: "Service unavailable"}


def problem_body(status: int, code: str, detail: str, **members: Any) -> dict[str, Any]:
    """The members of an RFC 9457 problem document."""
    body = {"type": f"urn:incidentfox:problem:{code}", "title": _TITLES.get(status, "Error")}
    return body | {"status": status, "detail": detail} | members


def problem_response(problem: Problem) -> JSONResponse:
    """The HTTP answer for a problem."""
    members = problem.extra | ({"errors": problem.errors} if problem.errors else {})
    return JSONResponse(
        problem_body(problem.status, problem.code, problem.detail, **members),
        status_code=problem.status,
        headers=problem.headers,
        media_type="application/problem+json",
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of `app` as problem details; the one mapping from errors to HTTP."""

    @app.exception_handler(Problem)
    async def _problem(_request: Request, error: Problem) -> JSONResponse:
        return problem_response(error)

    @app.exception_handler(DatabaseAway)
    async def _database_away(_request: Request, _error: DatabaseAway) -> JSONResponse:
        return problem_response(Unavailable("The database"))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"field": _field(item["loc"], item["type"]), "message": item["msg"].removeprefix("Value error, ")}
            for item in error.errors()
        ]
        summary = "; ".join(f"{item['field']}: {item['message']}" for item in errors)
        return problem_response(Invalid(summary=summary, errors=errors))

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        code = _TITLES.get(error.status_code, "error").lower().replace(" ", "_")
        return JSONResponse(
            problem_body(error.status_code, code, str(error.detail)),
            status_code=error.status_code,
            headers=dict(error.headers or {}),
            media_type="application/problem+json",
        )

    @app.exception_handler(Exception)
    async def _bug(request: Request, error: Exception) -> JSONResponse:
        log.error("unhandled_error", method=request.method, path=request.url.path, exc_info=error)
        return JSONResponse(
            problem_body(500, "internal", "An internal error; it has been logged."),
            status_code=500,
            media_type="application/problem+json",
        )


def field_name(location: Sequence[int | str]) -> str:
    """`('dedicated', 'tolerations', 0, 'key')` as `dedicated.tolerations[0].key`; the whole body as `body`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".") or "body"


def _field(location: Sequence[int | str], kind: str) -> str:
    """The field as the caller knows it: without the part of the request that it stands in."""
    # Of a body that is no JSON, what follows is the position of the mistake.
    return field_name(() if kind == "json_invalid" else location[1:])
