"""Sets of field paths, in the nested form of `managedFields[].fieldsV1`.

A node is a member if it has no children or bears the child `.`.
Children are `f:name`, `k:{"name":"x"}` and `v:"x"`.
Sets are values: no function changes its arguments, results may share parts with them.
"""

import json
from collections.abc import Iterator
from typing import Any

FieldSet = dict[str, Any]

SELF = "."


def is_member(node: FieldSet) -> bool:
    """Whether the path that leads to this node is in the set."""
    return not node or SELF in node


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """Paths of either."""
    if not one:
        return other
    if not other:
        return one
    result = dict(one)
    for key, theirs in other.items():
        ours = result.get(key)
        if ours is None:
            result[key] = theirs
        elif ours != theirs:
            merged = union(ours, theirs)
            if merged and (is_member(ours) or is_member(theirs)) and SELF not in merged:
                merged = {**merged, SELF: {}}
            result[key] = merged
    return result


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """Paths of the first that are not in the second."""
    result: FieldSet = {}
    for key, ours in one.items():
        if key == SELF:
            continue
        theirs = other.get(key)
        if theirs is None:
            result[key] = ours
        elif ours != theirs:
            _keep(result, key, difference(ours, theirs), member=is_member(ours) and not is_member(theirs))
    return result


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """Paths of both."""
    result: FieldSet = {}
    for key, ours in one.items():
        if key == SELF:
            continue
        theirs = other.get(key)
        if theirs is not None:
            _keep(result, key, intersection(ours, theirs), member=is_member(ours) and is_member(theirs))
    return result


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """Every path as messages write it: `.spec.containers[name="agent"].image`."""
    for key, node in fields.items():
        if key == SELF:
            continue
        path = prefix + _written(key)
        if is_member(node):
            yield path
        yield from paths(node, path)


def _keep(result: FieldSet, key: str, children: FieldSet, *, member: bool) -> None:
    if children:
        result[key] = {**children, SELF: {}} if member else children
    elif member:
        result[key] = {}


def _written(key: str) -> str:
    if key.startswith("f:"):
        return f".{key[2:]}"
    if key.startswith("k:"):
        pairs = json.loads(key[2:]).items()
        return (
            "[" + ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in pairs) + "]"
        )
    return f"[={key[2:]}]"
