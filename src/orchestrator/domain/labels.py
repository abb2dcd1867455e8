"""Label keys and values as Kubernetes takes them; names of resources and taints follow the same rule."""

import re

_PREFIX_LENGTH = 253
_NAME_LENGTH = 63

_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")


def check_key(text: str) -> str | None:
    """What is wrong with this label key (`name` or `domain/name`); `None` when it is valid."""
    prefix, slash, name = text.rpartition("/")
    if slash and (len(prefix) > _PREFIX_LENGTH or _PREFIX.fullmatch(prefix) is None):
        return "must have a DNS name of at most 253 characters before its '/'"
    if len(name) > _NAME_LENGTH or _NAME.fullmatch(name) is None:
        return (
            "must have a name of 1 to 63 characters, A-Z, a-z, 0-9, '-', '_' or '.', "
            "with a letter or digit at both ends"
        )
    return None


def check_value(text: str) -> str | None:
    """What is wrong with this label value; `None` when it is valid."""
    if text and (len(text) > _NAME_LENGTH or _NAME.fullmatch(text) is None):
        return (
            "must be empty or at most 63 characters, A-Z, a-z, 0-9, '-', '_' or '.', "
            "with a letter or digit at both ends"
        )
    return None
