"""What the routes of a node's config and of a team's own share: bodies, versions, preconditions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header, Request
from fastapi.responses import JSONResponse

from config_service.api.auth import says_json
from config_service.domain import documents, patches, protected
from config_service.domain.merge import Config
from config_service.errors import protected_path
from config_service.store.configs import Versioned
from servicekit.problems import Invalid

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

IfMatch = Annotated[str | None, Header(description="The `ETag` the change was made for.")]


@dataclass(frozen=True, slots=True)
class Change:
    """A change to a config, and the version it was made for, if the body names one."""

    edit: Callable[[Config], Config]
    version: int | None = None


def config_response(versioned: Versioned) -> JSONResponse:
    """A config as it is answered everywhere, with its version as a strong `ETag`."""
    return JSONResponse(
        {"config": versioned.config, "version": versioned.version},
        headers={"ETag": f'"{versioned.version}"'},
    )


def precondition(if_match: str | None, named: int | None = None) -> Callable[[int], bool]:
    """Whether a version is the one that was meant.

    Args:
        if_match: the header: tags by commas, or `*`; weak tags never match (RFC 9110, 13.1.1).
        named: the version that the body names.
    """
    tags = None if if_match is None else {tag.strip() for tag in if_match.split(",")}
    return lambda version: (
        (named in {None, version}) and (tags is None or "*" in tags or f'"{version}"' in tags)
    )


async def replacement(request: Request) -> Change:
    """The whole config as the body has it.

    Raises:
        Invalid: it is no config.
        DocumentTooLarge: it is too long.
    """
    body, version = _unwrapped(await _json(request))
    config = documents.check_config(body)
    return Change(lambda _before: config, version)


async def patch(request: Request, *, protect: bool) -> Change:
    """The change that the body describes, in the words its content type names.

    Args:
        request: with a merge patch (`application/merge-patch+json`, `application/json`) or a JSON Patch
            (`application/json-patch+json`).
        protect: refuse a merge patch that so much as mentions what only the control plane may write.

    Raises:
        Invalid: it is no such patch.
        ProtectedPath: it mentions what it must not.
    """
    body = await _json(request)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == JSON_PATCH:
        return Change(lambda before: patches.json_patch(before, body))
    change, version = _unwrapped(body)
    if protect and isinstance(change, dict) and (path := protected.mentioned(change)):
        raise protected_path(path)
    return Change(lambda before: patches.merge_patch(before, change), version)


def _unwrapped(body: Any) -> tuple[Any, int | None]:
    """The config out of `{"config": …, "version": …}` as it is answered, or the body itself.

    `config` is therefore no name for a key at a config's top. A version beside it is a precondition, as
    `If-Match` is: what was read can be sent back as it came.
    """
    if not isinstance(body, dict) or "config" not in body:
        return body, None
    for key in body.keys() - {"config", "version"}:
        raise Invalid.field(key, "is not known beside `config`")
    version = body.get("version")
    if version is not None and type(version) is not int:
        raise Invalid.field("version", "must be an integer")
    return body["config"], version


async def _json(request: Request) -> Any:
    if not says_json(request):
        raise Invalid.field("body", "must be JSON, and say so in its content type")
    if not await request.body():
        raise Invalid.field("body", "is required")
    return await request.json()


def body_of(*content_types: str) -> dict[str, Any]:
    """How a body that is read by hand appears in the documentation."""
    return {
        "requestBody": {
            "required": True,
            "content": {
                name: {"schema": {"type": "array" if name == JSON_PATCH else "object"}}
                for name in content_types
            },
        }
    }
