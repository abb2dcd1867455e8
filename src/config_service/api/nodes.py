"""The tree of an organisation and the config of each of its nodes."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import Connection

from config_service.api import schemas
from config_service.api.auth import GuardedRoute, OrgAuthor, bearer
from config_service.api.configs import (
    JSON_PATCH,
    MERGE_PATCH,
    Change,
    IfMatch,
    body_of,
    config_response,
    patch,
    precondition,
    replacement,
)
from config_service.api.paging import cut, read_cursor
from config_service.api.services import Services, ServicesOf
from config_service.domain import merge, protected
from config_service.domain.tree import NodeType
from config_service.store import configs
from config_service.store import nodes as store
from config_service.store.sql import AnyRow
from servicekit.problems import Invalid, NotFound

router = APIRouter(
    prefix="/api/v1/admin/orgs/{org}/nodes",
    tags=["nodes"],
    route_class=GuardedRoute,
    dependencies=[bearer],
)


@router.post("", status_code=201, responses=schemas.problems(409))
async def create_node(
    org: schemas.OrgPath,
    body: schemas.CreateNode,
    author: OrgAuthor,
    services: ServicesOf,
    response: Response,
) -> schemas.NodeView:
    """Make a unit or a team, below the root unless a parent is named; a new organisation is made with it."""
    now = services.now()
    node = await services.access.write(
        lambda connection: store.create(
            connection,
            org,
            body.id,
            NodeType(body.type),
            parent=body.parent_id,
            name=body.name,
            by=author.name,
            now=now,
        )
    )
    response.headers["Location"] = f"/api/v1/admin/orgs/{org}/nodes/{body.id}"
    return _view(node)


@router.get("", responses=schemas.problems(404))
async def list_nodes(
    org: schemas.OrgPath,
    _author: OrgAuthor,
    services: ServicesOf,
    limit: schemas.Limit = 100,
    cursor: schemas.Cursor = None,
) -> schemas.Page[schemas.NodeView]:
    """The organisation's nodes in the order of their ids; the root, `~`, comes last."""
    after = read_cursor(cursor)
    rows = await services.access.read(
        lambda connection: store.page(connection, org, after=after, limit=limit + 1)
    )
    if not rows and not after:
        raise NotFound(what=f"Organisation {org}")
    page, next_cursor = cut(rows, limit, lambda row: str(row.node_id))
    return schemas.Page(items=[_view(node) for node in page], next_cursor=next_cursor)


@router.get("/{node}", responses=schemas.problems(404))
async def get_node(
    org: schemas.OrgPath, node: schemas.NodePath, _author: OrgAuthor, services: ServicesOf
) -> schemas.NodeView:
    """One node."""
    return _view(await services.access.read(lambda connection: store.resolve(connection, org, node)))


@router.patch("/{node}", responses=schemas.problems(404))
async def change_node(
    org: schemas.OrgPath,
    node: schemas.NodePath,
    body: schemas.ChangeNode,
    _author: OrgAuthor,
    services: ServicesOf,
) -> schemas.NodeView:
    """Rename a node, or hang it below another parent; what is left out stays."""
    now = services.now()

    def change(connection: Connection) -> store.Node:
        found = store.resolve(connection, org, node)
        if "parent_id" in body.model_fields_set:
            store.move(connection, found, body.parent_id, now=now)
        if "name" in body.model_fields_set:
            store.rename(connection, found, body.name, now=now)
        return store.resolve(connection, org, node)

    return _view(await services.access.write(change))


@router.delete("/{node}", status_code=204, responses=schemas.problems(404, 409))
async def delete_node(
    org: schemas.OrgPath, node: schemas.NodePath, _author: OrgAuthor, services: ServicesOf
) -> None:
    """Delete a node without children, with everything that belongs to it.

    The root goes by `~` only: a second deletion of a team that bears its organisation's id must not take the
    organisation.
    """

    def change(connection: Connection) -> None:
        found = store.find(connection, org, node)
        if found is None:
            raise NotFound(what=f"Node {org}/{node}")
        store.remove(connection, found)

    await services.access.write(change)


@router.get("/{node}/config", response_model=schemas.ConfigView, responses=schemas.problems(404))
async def get_config(
    org: schemas.OrgPath, node: schemas.NodePath, _author: OrgAuthor, services: ServicesOf
) -> JSONResponse:
    """The node's own config, with its version as `ETag`."""
    found = await services.access.read(lambda connection: store.resolve(connection, org, node))
    return config_response(configs.load(found))


@router.put(
    "/{node}/config",
    response_model=schemas.ConfigView,
    responses=schemas.problems(404, 409, 412),
    openapi_extra=body_of("application/json"),
)
async def put_config(
    *,
    org: schemas.OrgPath,
    node: schemas.NodePath,
    request: Request,
    author: OrgAuthor,
    services: ServicesOf,
    if_match: IfMatch = None,
) -> JSONResponse:
    """Replace the node's own config; the body is the config, or `{"config", "version"}` as it was read."""
    change = await replacement(request)
    return config_response(await _write(services, org, node, change, author=author, if_match=if_match))


@router.patch(
    "/{node}/config",
    response_model=schemas.ConfigView,
    responses=schemas.problems(404, 409, 412),
    openapi_extra=body_of("application/json", MERGE_PATCH, JSON_PATCH),
)
async def patch_config(
    *,
    org: schemas.OrgPath,
    node: schemas.NodePath,
    request: Request,
    author: OrgAuthor,
    services: ServicesOf,
    if_match: IfMatch = None,
) -> JSONResponse:
    """Change the node's own config: a merge patch (RFC 7396) or a JSON Patch (RFC 6902)."""
    change = await patch(request, protect=not author.may_route)
    return config_response(await _write(services, org, node, change, author=author, if_match=if_match))


@router.get(
    "/{node}/effective",
    response_model=schemas.EffectiveView,
    response_model_exclude_unset=True,
    responses=schemas.problems(404),
)
async def get_effective(
    org: schemas.OrgPath,
    node: schemas.NodePath,
    _author: OrgAuthor,
    services: ServicesOf,
    explain: Annotated[bool, Query()] = False,
) -> JSONResponse:
    """What holds for the node: the configs from the root down, laid over one another."""

    def query(connection: Connection) -> tuple[list[tuple[str, merge.Config]], int]:
        return effective_layers(connection, org, store.resolve(connection, org, node).node_id)

    layers, version = await services.access.read(query)
    answer: dict[str, Any] = {
        "config": merge.effective(layer for _, layer in layers),
        "version": version,
    }
    if explain:
        answer["explain"] = merge.explain(layers)
    return JSONResponse(answer)


@router.get("/{node}/history", responses=schemas.problems(404))
async def get_history(
    org: schemas.OrgPath,
    node: schemas.NodePath,
    _author: OrgAuthor,
    services: ServicesOf,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: schemas.Cursor = None,
) -> schemas.Page[schemas.VersionView]:
    """Every version of the node's own config, the newest first."""
    before = read_cursor(cursor)
    if before and not (before.isascii() and before.isdigit() and len(before) < 10):  # noqa: PLR2004 - below 2^31
        raise Invalid.field("cursor", "is not a cursor of this list")
    rows = await services.access.read(
        lambda connection: configs.history(
            connection,
            store.resolve(connection, org, node),
            before=int(before) if before else None,
            limit=limit + 1,
        )
    )
    page, next_cursor = cut(rows, limit, lambda row: str(row.version))
    items = [
        schemas.VersionView(
            config=json.loads(row.config),
            version=row.version,
            changed_by=row.written_by,
            changed_at=row.written_at,
        )
        for row in page
    ]
    return schemas.Page(items=items, next_cursor=next_cursor)


@router.post(
    "/{node}/rollback/{version}",
    response_model=schemas.ConfigView,
    responses=schemas.problems(404, 412),
)
async def roll_back(
    *,
    org: schemas.OrgPath,
    node: schemas.NodePath,
    version: schemas.VersionPath,
    author: OrgAuthor,
    services: ServicesOf,
    if_match: IfMatch = None,
) -> JSONResponse:
    """Write an old version again, as a new one; the keys that route stay as they are now."""
    now = services.now()

    def change(connection: Connection) -> configs.Versioned:
        found = store.resolve(connection, org, node, lock=True)
        old = configs.at_version(connection, found, version)
        return configs.write(
            connection,
            found,
            lambda before: protected.restore(old, before),
            author=author,
            now=now,
            url_pattern=services.url_pattern,
            expected=precondition(if_match),
        )

    return config_response(await services.access.write(change))


def effective_layers(
    connection: Connection, org_id: str, node_id: str
) -> tuple[list[tuple[str, merge.Config]], int]:
    """What lies over what for a node, from the root down, and the version of its own config.

    Raises:
        NotFound: there is no such node.
    """
    path = store.path_to(connection, org_id, node_id)
    if not path:
        raise NotFound(what=f"Node {org_id}/{node_id}")
    *above, own = path
    layers = [(row.node_id, protected.without_protected(json.loads(row.config))) for row in above]
    return [*layers, (own.node_id, json.loads(own.config))], own.version


async def _write(
    services: Services,
    org: str,
    node: str,
    change: Change,
    *,
    author: configs.Author,
    if_match: str | None,
) -> configs.Versioned:
    now = services.now()
    return await services.access.write(
        lambda connection: configs.write(
            connection,
            store.resolve(connection, org, node, lock=True),
            change.edit,
            author=author,
            now=now,
            url_pattern=services.url_pattern,
            expected=precondition(if_match, change.version),
        )
    )


def _view(node: store.Node | AnyRow) -> schemas.NodeView:
    return schemas.NodeView(
        id=node.node_id,
        org_id=node.org_id,
        type=NodeType(node.type).value,
        parent_id=node.parent_id,
        name=node.name,
        version=node.version,
        created_at=node.created_at,
        updated_at=node.updated_at,
    )
