"""JSON merge patch, JSON patch and strategic merge patch."""

from typing import Any

import jsonpatch

from devcluster.errors import ApiError, BadRequest
from devcluster.schema import FieldType
from devcluster.typed import item_key

_DIRECTIVE = "$patch"


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects merge, everything else replaces."""
    if type(patch) is not dict:
        return patch
    result = dict(target) if type(target) is dict else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902.

    Raises:
        BadRequest: not a list of operations.
        ApiError: 422, an operation does not apply.
    """
    try:
        patch = jsonpatch.JsonPatch(operations)
        return patch.apply(target)
    except jsonpatch.InvalidJsonPatch as error:
        raise BadRequest(f"error decoding patch: {error}") from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        sentence = f"the server rejected our request due to an error in our request: {error}"
        raise ApiError(sentence, status=422, reason="Invalid", details={}) from error


def strategic_merge(target: Any, patch: Any, field_type: FieldType | None) -> Any:
    """As merge patch, but keyed lists merge item by item, and `$patch` may say delete or replace."""
    if type(patch) is dict:
        return _strategic_map(target, patch, field_type)
    if type(patch) is list and type(target) is list and field_type is not None and field_type.keys:
        return _strategic_list(target, patch, field_type)
    return patch


def _strategic_map(target: Any, patch: dict[str, Any], field_type: FieldType | None) -> Any:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    if directive == "delete":
        return {}
    result = dict(target) if type(target) is dict else {}
    for key, value in patch.items():
        if key.startswith("$"):
            _apply_list_directive(result, key, value)
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = strategic_merge(result.get(key), value, _inner_type(field_type, key))
    return {key: value for key, value in result.items() if not key.startswith("$")}


def _apply_list_directive(result: dict[str, Any], key: str, value: Any) -> None:
    """`$deleteFromPrimitiveList/finalizers: [x]` takes values out of a plain list."""
    directive, _, field = key.partition("/")
    if directive == "$deleteFromPrimitiveList" and field in result:
        result[field] = [item for item in result[field] if item not in value]


def _inner_type(field_type: FieldType | None, key: str) -> FieldType | None:
    if field_type is None:
        return None
    return field_type.fields.get(key) if field_type.kind == "struct" else field_type.item


def _strategic_list(target: list[Any], patch: list[Any], field_type: FieldType) -> list[Any]:
    # Unlike apply, strategic merge tells ports of a container or a service apart by their number alone.
    by_key = FieldType("list", item=field_type.item, keys=(field_type.keys or ())[:1])
    result = {item_key(item, by_key): item for item in target}
    for item in patch:
        if item.get(_DIRECTIVE) == "replace":
            return [entry for entry in patch if _DIRECTIVE not in entry]
        key = item_key(item, by_key)
        if item.get(_DIRECTIVE) == "delete":
            result.pop(key, None)
        elif key in result:
            result[key] = strategic_merge(result[key], item, field_type.item)
        else:
            result[key] = item
    return list(result.values())
