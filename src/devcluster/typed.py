"""Objects seen through their schema: which fields they set, what differs, how two of them merge."""

import json
from typing import Any

from devcluster.fieldsets import SELF, FieldSet
from devcluster.schema import KEY_DEFAULTS, FieldType

_SCALAR_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "string"),
    "time": ((str,), "string"),
    "microtime": ((str,), "string"),
    "bytes": ((str,), "string"),
    "bool": ((bool,), "boolean"),
    "int": ((int, float), "numeric (int or float)"),
    "float": ((int, float), "numeric (int or float)"),
}
_GO_TYPES = {
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
    dict: "map[string]interface {}",
    list: "[]interface {}",
}


class SchemaViolation(Exception):
    """A value does not fit its schema; the text starts with the path."""


def item_key(item: Any, field_type: FieldType) -> str:
    """What tells an item of a keyed list apart, as `fieldsV1` writes it."""
    if field_type.keys == ():
        return "v:" + json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    keys = field_type.keys or ()
    if len(keys) == 1:
        return 'k:{"' + keys[0] + '":' + json.dumps(_key_value(item, keys[0]), ensure_ascii=False) + "}"
    named = {key: _key_value(item, key) for key in sorted(keys)}
    return "k:" + json.dumps(named, ensure_ascii=False, separators=(",", ":"))


def _key_value(item: Any, key: str) -> Any:
    value = item.get(key)
    return KEY_DEFAULTS.get(key) if value is None else value


def fields_set(value: Any, field_type: FieldType, path: str = "") -> FieldSet:
    """The leaf fields that a value sets, checked against the schema on the way.

    Raises:
        SchemaViolation: an undeclared field, a value of the wrong type, or two items with one key.
    """
    kind = field_type.kind
    if value is None:
        return {}
    if kind == "struct":
        return _struct_set(value, field_type, path)
    if kind == "map":
        if type(value) is not dict:
            raise SchemaViolation(f"{path}: expected map, got {_go_value(value)}")
        item = _item_type(field_type)
        sets = {f"f:{key}": fields_set(entry, item, f"{path}.{key}") for key, entry in value.items()}
        return {} if field_type.atomic else sets
    if kind == "list":
        return _list_set(value, field_type, path)
    expected = _SCALAR_TYPES.get(kind)
    if expected and (not isinstance(value, expected[0]) or (type(value) is bool) != (kind == "bool")):
        got = _go_value(value) if kind == "string" else _GO_TYPES.get(type(value), "nil")
        raise SchemaViolation(f"{path}: expected {expected[1]}, got {got}")
    return {}


def _struct_set(value: Any, field_type: FieldType, path: str) -> FieldSet:
    if type(value) is not dict:
        raise SchemaViolation(f"{path}: expected map, got {_go_value(value)}")
    declared = field_type.fields
    sets = {}
    for key, entry in value.items():
        entry_type = declared.get(key)
        if entry_type is None:
            raise SchemaViolation(f"{path}.{key}: field not declared in schema")
        sets[f"f:{key}"] = fields_set(entry, entry_type, f"{path}.{key}")
    return {} if field_type.atomic else sets


def _list_set(value: Any, field_type: FieldType, path: str) -> FieldSet:
    if type(value) is not list:
        raise SchemaViolation(f"{path}: expected list, got {_go_value(value)}")
    item_type = _item_type(field_type)
    if field_type.keys is None:
        for position, entry in enumerate(value):
            fields_set(entry, item_type, f"{path}[{position}]")
        return {}
    sets: FieldSet = {}
    for position, entry in enumerate(value):
        if field_type.keys and type(entry) is not dict:
            raise SchemaViolation(f"{path}[{position}]: expected map, got {_go_value(entry)}")
        missing = [key for key in field_type.keys if _key_value(entry, key) is None]
        if missing:
            raise SchemaViolation(
                f"{path}: element {position}: associative list with keys has an element that omits key field "
                f'"{missing[0]}" (and doesn\'t have default value)'
            )
        key = item_key(entry, field_type)
        written = _written_key(entry, field_type)
        if key in sets:
            raise SchemaViolation(f"{path}: duplicate entries for key {written}")
        inner = fields_set(entry, item_type, path + written)
        sets[key] = {**inner, SELF: {}} if inner else {}
    return sets


def _written_key(entry: Any, field_type: FieldType) -> str:
    if not field_type.keys:
        return f"[={json.dumps(entry, ensure_ascii=False)}]"
    pairs = [
        f"{key}={json.dumps(_key_value(entry, key), ensure_ascii=False)}" for key in sorted(field_type.keys)
    ]
    return f"[{','.join(pairs)}]"


def _go_value(value: Any) -> str:
    return f"&value.valueUnstructured{{Value:{json.dumps(value, ensure_ascii=False)}}}"


def _item_type(field_type: FieldType) -> FieldType:
    if field_type.item is None:
        raise TypeError(f"{field_type.kind} without items")
    return field_type.item


def compare(old: Any, new: Any, field_type: FieldType) -> tuple[FieldSet, FieldSet]:
    """What `new` adds or changes, and what it lacks of `old`."""
    if old == new:
        return {}, {}
    if field_type.atomic or type(old) is not type(new):
        return {}, {}
    if field_type.kind in {"struct", "map"}:
        return _compare_maps(old, new, field_type)
    if field_type.kind == "list":
        return _compare_lists(old, new, field_type)
    return {}, {}


def _compare_maps(old: Any, new: Any, field_type: FieldType) -> tuple[FieldSet, FieldSet]:
    touched: FieldSet = {}
    removed: FieldSet = {}
    fields = field_type.fields if field_type.kind == "struct" else None
    for key, entry in new.items():
        entry_type = fields.get(key) if fields is not None else field_type.item
        if entry_type is None:
            continue
        if old.get(key) is None:
            if entry is not None:
                touched[f"f:{key}"] = fields_set(entry, entry_type)
        elif entry != old[key]:
            _note(touched, removed, f"f:{key}", compare(old[key], entry, entry_type))
    for key, entry in old.items():
        if new.get(key) is None and entry is not None:
            entry_type = fields.get(key) if fields is not None else field_type.item
            if entry_type is not None:
                removed[f"f:{key}"] = fields_set(entry, entry_type)
    return touched, removed


def _compare_lists(old: Any, new: Any, field_type: FieldType) -> tuple[FieldSet, FieldSet]:
    touched: FieldSet = {}
    removed: FieldSet = {}
    item_type = _item_type(field_type)
    before = {item_key(item, field_type): item for item in old}
    after = {item_key(item, field_type): item for item in new}
    for key, item in after.items():
        if key not in before:
            inner = fields_set(item, item_type)
            touched[key] = {**inner, SELF: {}} if inner else {}
        elif item != before[key]:
            _note(touched, removed, key, compare(before[key], item, item_type))
    for key, item in before.items():
        if key not in after:
            inner = fields_set(item, item_type)
            removed[key] = {**inner, SELF: {}} if inner else {}
    return touched, removed


def _note(touched: FieldSet, removed: FieldSet, key: str, inner: tuple[FieldSet, FieldSet]) -> None:
    """Record a child that differs; one that differs as a whole counts as touched itself."""
    if inner[0] or not inner[1]:
        touched[key] = inner[0]
    if inner[1]:
        removed[key] = inner[1]


def merge(live: Any, applied: Any, field_type: FieldType) -> Any:
    """`live` with all that `applied` sets; keyed lists merge item by item, in the order of `applied`."""
    if applied is None or field_type.atomic or live is None:
        return applied
    kind = field_type.kind
    if kind in {"struct", "map"} and type(live) is dict:
        fields = field_type.fields if kind == "struct" else None
        result = dict(live)
        for key, entry in applied.items():
            entry_type = fields.get(key) if fields is not None else field_type.item
            present = live.get(key)
            if present is None or present == entry or entry_type is None:
                result[key] = entry
            else:
                result[key] = merge(present, entry, entry_type)
        return result
    if kind == "list" and type(live) is list:
        return _merge_lists(live, applied, field_type)
    return applied


def _merge_lists(live: list[Any], applied: list[Any], field_type: FieldType) -> list[Any]:
    item_type = _item_type(field_type)
    present = {item_key(item, field_type): item for item in live}
    wanted = [(item_key(item, field_type), item) for item in applied]
    wanted_keys = {key for key, _ in wanted}
    result: list[Any] = []
    position = 0

    def take_wanted_until(stop: str | None) -> None:
        nonlocal position
        while position < len(wanted):
            key, item = wanted[position]
            position += 1
            result.append(merge(present[key], item, item_type) if key in present else item)
            if key == stop:
                return

    taken: set[str] = set()
    for key, item in present.items():
        if key not in wanted_keys:
            result.append(item)
        elif key not in taken:
            start = position
            take_wanted_until(key)
            taken |= {wanted[index][0] for index in range(start, position)}
    take_wanted_until(None)
    return result


def prune(value: Any, dropped_from: FieldSet, kept: FieldSet, field_type: FieldType) -> Any:
    """`value` without the fields of `dropped_from` that nothing in `kept` lies at or below."""
    if field_type.kind == "list":
        if type(value) is not list or field_type.keys is None:
            return value
        item_type = _item_type(field_type)
        items = []
        for item in value:
            key = item_key(item, field_type)
            if key not in dropped_from:
                items.append(item)
            elif key in kept:
                items.append(prune(item, dropped_from[key], kept[key], item_type))
        return items
    if type(value) is not dict:
        return value
    fields = field_type.fields if field_type.kind == "struct" else None
    result = {}
    for key, entry in value.items():
        name = f"f:{key}"
        before = dropped_from.get(name)
        if before is None:
            result[key] = entry
            continue
        kept_below = kept.get(name)
        if kept_below is None:
            continue
        entry_type = fields.get(key) if fields is not None else field_type.item
        unchanged = before == kept_below or entry_type is None
        result[key] = (
            entry if unchanged or entry_type is None else prune(entry, before, kept_below, entry_type)
        )
    return result
