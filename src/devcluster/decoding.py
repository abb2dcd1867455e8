"""From JSON as sent to the form that is stored: types checked, quantities canonical, empty left out."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from devcluster import quantity
from devcluster.schema import FieldType

_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
_GO_NAMES = {str: "string", bool: "bool", int: "number", float: "number", dict: "object", list: "array"}


class Undecodable(Exception):
    """A value that Go's decoder refuses; the text is its message."""


def decode(value: Any, field_type: FieldType, unknown: list[str], path: str = "") -> Any:
    """The stored form of a value; a new tree that shares nothing mutable with the old one.

    Args:
        value: JSON as sent.
        field_type: its type.
        unknown: receives the paths of undeclared fields, which are dropped.
        path: where the value is, for messages.

    Raises:
        Undecodable: a value of the wrong type, a bad quantity, bad base64.
    """
    kind = field_type.kind
    if kind == "string":
        if type(value) is not str:
            raise _mismatch(value, path, "string")
        return value
    if kind == "struct":
        return _decode_struct(value, field_type, unknown, path)
    if kind == "list":
        if type(value) is not list:
            raise _mismatch(value, path, "[]")
        item_type = field_type.item
        assert item_type is not None
        return [decode(item, item_type, unknown, f"{path}[{index}]") for index, item in enumerate(value)]
    if kind == "map":
        if type(value) is not dict:
            raise _mismatch(value, path, "map[string]string")
        item_type = field_type.item
        assert item_type is not None
        return {key: decode(item, item_type, unknown, path) for key, item in value.items()}
    return _decode_scalar(value, kind, path)


def _decode_struct(value: Any, field_type: FieldType, unknown: list[str], path: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise _mismatch(value, path, field_type.name)
    fields = field_type.fields
    result = {}
    for key, entry in value.items():
        entry_type = fields.get(key)
        inner = f"{path}.{key}" if path else key
        if entry_type is None:
            unknown.append(inner)
            continue
        if entry is None:
            continue
        decoded = decode(entry, entry_type, unknown, inner)
        if decoded or _kept_when_empty(decoded, entry_type):
            result[key] = decoded
    return result


def _kept_when_empty(decoded: Any, entry_type: FieldType) -> bool:
    kind = entry_type.kind
    if kind in {"list", "map"}:
        return entry_type.required
    if kind in {"string", "int", "bool"}:
        return entry_type.keeps_empty
    return decoded is not None


def _decode_scalar(value: Any, kind: str, path: str) -> Any:
    return _SCALARS[kind](value, path)


def _decode_any(value: Any, _path: str) -> Any:
    return value


def _decode_quantity(value: Any, _path: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Undecodable(quantity.MalformedQuantity().message)
    try:
        return quantity.canonical(str(value))
    except quantity.MalformedQuantity as error:
        raise Undecodable(error.message) from error


def _decode_bool(value: Any, path: str) -> bool:
    if type(value) is not bool:
        raise _mismatch(value, path, "bool")
    return value


def _decode_int_or_string(value: Any, _path: str) -> int | str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise Undecodable("json: cannot unmarshal value into Go value of type intstr.IntOrString")
    return value


def _decode_float(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _mismatch(value, path, "float64")
    return value


def _decode_int(value: Any, path: str) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise _mismatch(value, path, "int32")
    if abs(value) > 2**63 - 1:
        raise Undecodable(f"json: cannot unmarshal number {value} into Go struct field {path} of type int64")
    return value


def _decode_time(value: Any, _path: str) -> str:
    if not isinstance(value, str) or not _TIME.match(value):
        raise Undecodable(
            f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse "{value}" as "2006"'
        )
    return value


def _decode_bytes(value: Any, _path: str) -> str:
    if not isinstance(value, str):
        raise Undecodable("json: cannot unmarshal value into Go value of type []uint8")
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        bad = next(
            (
                at
                for at, letter in enumerate(value)
                if not (letter.isascii() and (letter.isalnum() or letter in "+/="))
            ),
            None,
        )
        position = len(value) - len(value) % 4 if bad is None else bad
        raise Undecodable(
            f"error decoding from json: illegal base64 data at input byte {position}"
        ) from error
    return value


def _mismatch(value: Any, path: str, wanted: str) -> Undecodable:
    got = _GO_NAMES.get(type(value), "null")
    return Undecodable(f"json: cannot unmarshal {got} into Go struct field {path} of type {wanted}")


_SCALARS: Mapping[str, Callable[[Any, str], Any]] = {
    "any": _decode_any,
    "bool": _decode_bool,
    "bytes": _decode_bytes,
    "float": _decode_float,
    "int": _decode_int,
    "intstr": _decode_int_or_string,
    "microtime": _decode_time,
    "quantity": _decode_quantity,
    "time": _decode_time,
}


def decode_object(value: dict[str, Any], field_type: FieldType) -> tuple[dict[str, Any], list[str]]:
    """A whole object, and the paths of its undeclared fields.

    Raises:
        Undecodable: see `decode`.
    """
    unknown: list[str] = []
    return decode(value, field_type, unknown), unknown
