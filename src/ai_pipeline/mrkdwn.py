"""Slack's message markup to plain text.

Source: https://docs.slack.dev/messaging/formatting-message-text
"""

import html
import re
from collections.abc import Mapping

_LINK = re.compile(r"<([^<>|\n]{1,4000})(?:\|([^<>\n]{0,4000}))?>")
# What no reader can see and no database likes; line ends and tabs stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def plain_text(text: str, user_names: Mapping[str, str]) -> str:
    """A message as a person reads it: names for ids, links written out, entities resolved."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = _CONTROL.sub("", text.replace("\r\n", "\n"))
    text = _LINK.sub(lambda found: _written_out(found[1], found[2] or "", user_names), text)
    return html.unescape(text).strip()


def _written_out(target: str, label: str, user_names: Mapping[str, str]) -> str:
    """What stands between angle brackets: a person, a channel, a group, a date or a link."""
    match target[0]:
        case "@":
            return "@" + (user_names.get(target[1:]) or label or "someone")
        case "#":
            return "#" + (label or "channel")
        case "!":
            return _special(target[1:], label)
        case _:
            address = target.removeprefix("mailto:").removeprefix("tel:")
            return address if label in {"", address, target} else f"{label} ({address})"


def _special(target: str, label: str) -> str:
    """`here`, `channel`, `everyone`, a user group, or a date with its fallback text."""
    if label:
        return label if label.startswith("@") or target.startswith("date") else f"@{label}"
    name = target.partition("^")[0]
    return "@group" if name == "subteam" else f"@{name}"
