"""Cursors: opaque to callers, the last key of the page before to us."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from config_service.domain.documents import check_text
from servicekit.problems import Invalid

T = TypeVar("T")


def read_cursor(cursor: str | None) -> str:
    """The key after which the page begins; empty for the first one.

    Raises:
        Invalid: it is no cursor of ours.
    """
    if cursor is None:
        return ""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return check_text(base64.b64decode(padded, altchars=b"-_", validate=True).decode(), "cursor")
    except (binascii.Error, UnicodeError) as error:
        raise Invalid.field("cursor", "is not a cursor of this list") from error


def cut(rows: Sequence[T], limit: int, key: Callable[[T], str]) -> tuple[Sequence[T], str | None]:
    """One page out of up to `limit + 1` rows, and the cursor of the next if there is one."""
    if len(rows) <= limit:
        return rows, None
    page = rows[:limit]
    return page, base64.urlsafe_b64encode(key(page[-1]).encode()).decode().rstrip("=")
