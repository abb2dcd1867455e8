"""Ids as this API takes them: everything that is valid here is also a label value, unchanged."""

import re

#: Kubernetes' limit to a label value, which an id is.
MAX_ID_LENGTH = 63

#: What one team may route to itself.
MAX_SLACK_CHANNELS = 500

_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SLACK_CHANNEL = re.compile(r"[A-Z0-9]{2,32}")


def check_id(text: str) -> str | None:
    """What is wrong with this `org_id` or `team_node_id`; `None` when it is valid."""
    if not 1 <= len(text) <= MAX_ID_LENGTH:
        return f"must be 1 to {MAX_ID_LENGTH} characters long"
    if _ID.fullmatch(text) is None:
        return "must consist of A-Z, a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends"
    return None


def check_slack_channel_id(text: str) -> str | None:
    """What is wrong with this Slack channel id; `None` when it is valid."""
    if _SLACK_CHANNEL.fullmatch(text) is None:
        return "must be 2 to 32 characters, each A-Z or 0-9"
    return None
