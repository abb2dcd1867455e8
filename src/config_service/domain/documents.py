"""JSON as callers send it: what is let in, so that every later part can rely on it."""

import json
import math
from typing import Any, Final, NoReturn

from config_service.domain.merge import Config
from servicekit.problems import Invalid, Problem

#: How many levels of objects and lists a request's body may nest.
MAX_BODY_DEPTH: Final = 40
#: How many levels a config may nest, itself included.
MAX_CONFIG_DEPTH: Final = 32
#: How large a stored config may be, in bytes of its JSON text.
MAX_CONFIG_BYTES: Final = 256 * 1024
#: Integers beyond 64 bits are not read back alike by other programs.
_INT_RANGE: Final = range(-(2**63), 2**63)


class DocumentTooLarge(Problem):
    """The document would be larger than {limit} bytes."""

    status, code = 413, "document_too_large"


def parse(body: bytes) -> Any:
    """A body's JSON, made of values that both databases store and every client can read.

    Raises:
        Invalid: it is not JSON, or holds NUL characters, lone surrogates, numbers that are not finite or
            beyond 64 bits, or nests too deeply.
    """
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Invalid.field("body", "is not valid JSON") from error
    _check(document, MAX_BODY_DEPTH)
    return document


def dump(config: Any) -> str:
    """The JSON text as it is stored: compact, as UTF-8."""
    return json.dumps(config, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def same(one: Any, other: Any) -> bool:
    """Whether two documents are the same JSON (`1`, `1.0` and `true` are not)."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def check_config(config: Any) -> Config:
    """`config`, if it may be stored.

    Raises:
        Invalid: it is not an object or nests too deeply.
        DocumentTooLarge: its text is too long.
    """
    if not isinstance(config, dict):
        raise Invalid.field("config", "must be an object")
    if "config" in config:
        raise Invalid.field("config.config", "is no key of a config; bodies are told apart by it")
    if depth_exceeds(config, MAX_CONFIG_DEPTH):
        raise Invalid.field("config", f"must not nest more than {MAX_CONFIG_DEPTH} levels")
    check_size(config, MAX_CONFIG_BYTES)
    return config


def check_size(document: Any, limit: int) -> None:
    """Refuse a document whose text is longer than `limit` bytes.

    Raises:
        DocumentTooLarge: it is.
    """
    if len(dump(document).encode()) > limit:
        raise DocumentTooLarge(limit=limit)


def depth_exceeds(value: Any, limit: int) -> bool:
    """Whether objects and lists nest more than `limit` levels."""
    if not isinstance(value, dict | list):
        return False
    if limit == 0:
        return True
    members = value.values() if isinstance(value, dict) else value
    return any(depth_exceeds(member, limit - 1) for member in members)


def check_text(text: str, field: str) -> str:
    """`text`, if both databases can store it.

    Raises:
        Invalid: it holds a NUL character or a lone surrogate.
    """
    if "\x00" in text:
        raise Invalid.field(field, "must not hold NUL characters")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Invalid.field(field, "must not hold lone surrogates") from error
    return text


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        check_text(value, "body")
    elif isinstance(value, float) and not math.isfinite(value):
        raise Invalid.field("body", "must not hold numbers that are not finite")
    elif isinstance(value, int) and value not in _INT_RANGE:
        raise Invalid.field("body", "must not hold integers beyond 64 bits")
    elif isinstance(value, dict | list):
        if depth == 0:
            raise Invalid.field("body", f"must not nest more than {MAX_BODY_DEPTH} levels")
        if isinstance(value, dict):
            for key, member in value.items():
                check_text(key, "body")
                _check(member, depth - 1)
        else:
            for member in value:
                _check(member, depth - 1)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
