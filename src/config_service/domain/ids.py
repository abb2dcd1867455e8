"""The names a caller may give: organisations, nodes, channels, and where a dedicated agent answers."""

import re
from collections.abc import Iterable
from typing import Final

#: An organisation's or node's id: 1-63 characters, compared to the letter, case included.
ID_PATTERN: Final = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
#: A Slack channel's id.
CHANNEL_PATTERN: Final = r"^[A-Z0-9]{2,32}$"
#: How many channels one team may have.
MAX_CHANNELS: Final = 500
#: The root node's id in every organisation. `~` is no valid id, so no unit or team can ever bear it,
#: and it needs no escaping in a URL.
ROOT_ID: Final = "~"

_CHANNEL = re.compile(CHANNEL_PATTERN.replace("$", r"\Z"))
_DNS_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


def is_channel(text: object) -> bool:
    """Whether `text` is a Slack channel's id."""
    return isinstance(text, str) and _CHANNEL.match(text) is not None


def dedicated_url_pattern(namespaces: Iterable[str] = ("*",)) -> re.Pattern[str]:
    """What the whole of a dedicated agent's URL must match.

    Args:
        namespaces: the namespaces such an agent may live in; `*` stands for any run of characters of a DNS
            label (`incidentfox-*`).
    """
    names = "|".join(
        _DNS_LABEL if name == "*" else re.escape(name).replace(r"\*", "[a-z0-9-]*") for name in namespaces
    )
    label = r"agent-dedicated-[a-z0-9-]{0,46}[a-z0-9]"
    return re.compile(rf"http://{label}\.(?:{names})\.svc\.cluster\.local:8000")
