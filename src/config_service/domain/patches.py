"""Changes to a config: the whole of it, an RFC 7396 merge patch, or an RFC 6902 JSON Patch."""

import copy
from typing import Any, Final

import jsonpatch
from jsonpatch import JsonPatchException, JsonPatchTestFailed
from jsonpointer import JsonPointerException

from config_service.domain.documents import check_config
from config_service.domain.merge import Config, merge
from config_service.errors import PatchTestFailed
from servicekit.problems import Invalid

#: How many operations one JSON Patch may hold.
MAX_OPERATIONS: Final = 200


def merge_patch(config: Config, patch: Any) -> Config:
    """`config` after an RFC 7396 merge patch.

    Raises:
        Invalid: the patch is not an object; it would replace the whole config by something else.
    """
    if not isinstance(patch, dict):
        raise Invalid.field("body", "must be an object")
    return check_config(merge(config, patch))


def json_patch(config: Config, operations: Any) -> Config:
    """`config` after an RFC 6902 JSON Patch.

    Raises:
        Invalid: an operation is malformed, or its path does not exist.
        PatchTestFailed: a `test` operation did not hold.
    """
    if not isinstance(operations, list):
        raise Invalid.field("body", "must be a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise Invalid.field("body", f"must not hold more than {MAX_OPERATIONS} operations")
    config = copy.deepcopy(config)
    for number, operation in enumerate(operations):
        config = _apply(config, operation, f"body.{number}")
        if operation["op"] == "copy":
            # Each copy can double the document: looked at after every one, not at the end.
            check_config(config)
    return check_config(config)


def _apply(config: Any, operation: Any, field: str) -> Any:
    if not isinstance(operation, dict):
        raise Invalid.field(field, "must be an object")
    try:
        return jsonpatch.apply_patch(config, [operation], in_place=True)
    except JsonPatchTestFailed as error:
        raise PatchTestFailed from error
    except (JsonPatchException, JsonPointerException) as error:
        raise Invalid.field(field, "is malformed or names a path that does not exist") from error
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        # The library meets paths through scalars and pointers that are not strings with these.
        raise Invalid.field(field, "is malformed or names a path that does not exist") from error
