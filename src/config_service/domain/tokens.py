"""Bearer tokens: how they are made, read, and compared. Their text is never believed, only looked up."""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from typing import Final

#: Bytes of randomness in a secret.
SECRET_BYTES: Final = 32
#: Shortest key for the keyed hash, in bytes.
MIN_KEY_BYTES: Final = 32
#: No token is longer: two ids of 63 characters, two dots, and the last part.
MAX_TOKEN_LENGTH: Final = 256

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PREFIX_LENGTH: Final = 12
#: 62^43 is the first power of 62 beyond 2^256, and 62^6 the first beyond 2^32.
_SECRET_LENGTH: Final = 43
_CHECKSUM_LENGTH: Final = 6
_LAST_PART: Final = re.compile(r"(ifxo?)_([0-9A-Za-z]{12})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token at the one moment its text is known."""

    #: What finds the row again; no secret.
    prefix: str
    text: str = field(repr=False)


def new_team_token(org_id: str, team_node_id: str) -> NewToken:
    """A token for a team: `{org}.{team}.ifx_{prefix}_{secret}{checksum}`."""
    return _new(f"{org_id}.{team_node_id}", "ifx")


def new_org_admin_token(org_id: str) -> NewToken:
    """A token for an organisation's admin: `{org}.ifxo_{prefix}_{secret}{checksum}`."""
    return _new(org_id, "ifxo")


def prefix_of(text: str) -> str | None:
    """The prefix by which to look a token up; `None` when the text cannot be one of ours.

    Only the part after the last dot is read: ids may hold dots themselves. A wrong checksum (a typing error,
    a cut-off copy) is told without asking the database.
    """
    if len(text) > MAX_TOKEN_LENGTH:
        return None
    found = _LAST_PART.fullmatch(text.rpartition(".")[2])
    if found is None:
        return None
    kind, prefix, secret, checksum = found.groups()
    return prefix if _checksum(f"{kind}_{prefix}_{secret}") == checksum else None


def digest(text: str, key: bytes) -> bytes:
    """What is stored of a token: HMAC-SHA-256 over its whole text with the installation's key."""
    return hmac.digest(key, text.encode(), hashlib.sha256)


def matches(text: str, stored: bytes, key: bytes) -> bool:
    """Whether `text` is the token that `stored` was made from; takes the same time for every wrong one."""
    return hmac.compare_digest(digest(text, key), stored)


def _new(owner: str, kind: str) -> NewToken:
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(_PREFIX_LENGTH))
    secret = _base62(int.from_bytes(secrets.token_bytes(SECRET_BYTES)), _SECRET_LENGTH)
    body = f"{kind}_{prefix}_{secret}"
    return NewToken(prefix=prefix, text=f"{owner}.{body}{_checksum(body)}")


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, remainder = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[remainder])
    return "".join(reversed(digits))
