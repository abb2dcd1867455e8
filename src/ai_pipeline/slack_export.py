"""Read an export in Slack's own format: an index of channels and people, a file per channel and day.

Only the folders of the channels that are asked for are ever opened. Source:
https://slack.com/help/articles/220556107-How-to-read-Slack-data-exports
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeGuard

from ai_pipeline.errors import PipelineFailed

_TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}")
_DAY_FILE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\.json")
#: Indexes of channels: public ones, and private ones where the export has them.
_INDEXES = ("channels.json", "groups.json")
#: Messages in which nobody says anything.
_SILENT_SUBTYPES = frozenset(
    {"channel_join", "channel_leave", "channel_topic", "channel_purpose", "channel_name", "channel_archive"}
    | {"channel_unarchive", "group_join", "group_leave", "pinned_item", "tombstone", "bot_add", "bot_remove"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; `thread_ts` equals `ts` when it starts a thread or stands alone."""

    ts: str
    thread_ts: str
    #: Id of a person, or the name under which a bot posts.
    user: str
    #: In Slack's markup.
    text: str
    #: Names of the emoji, without skin tones.
    reactions: frozenset[str] = frozenset()

    @property
    def at(self) -> Decimal:
        """When, in seconds since 1970; exact, as a float would not be."""
        return Decimal(self.ts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelHistory:
    """What was read of one channel and what could not be."""

    messages: tuple[Message, ...]
    malformed_files: tuple[str, ...] = ()
    malformed_messages: int = 0
    #: The newest message before the first unreadable file: what a checkpoint may claim to have seen.
    complete_until: str | None = None


class SlackExport:
    """An export on disk.

    Args:
        folder: where `channels.json` lies.

    Raises:
        PipelineFailed: the folder holds no export.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        indexes = [_rows(path) for name in _INDEXES if (path := folder / name).is_file()]
        if not any(index is not None for index in indexes):
            raise PipelineFailed(f"{folder}: not a Slack export, its channels.json is missing or unreadable")
        self._channel_names = {
            row["id"]: row["name"]
            for index in indexes
            for row in index or ()
            if _is_text(row.get("id")) and _is_folder_name(row.get("name"))
        }
        self.user_names: Mapping[str, str] = _user_names(folder / "users.json")

    def channel_name(self, channel_id: str) -> str | None:
        """The name of a channel, which is also that of its folder."""
        return self._channel_names.get(channel_id)

    def read(self, channel_id: str) -> ChannelHistory | None:
        """Every message of a channel; `None` when the export does not hold the channel."""
        name = self.channel_name(channel_id)
        if name is None or not (self._folder / name).is_dir():
            return None
        messages: dict[str, Message] = {}
        malformed_files: list[str] = []
        malformed_messages = 0
        complete_until: str | None = None
        for path in sorted((self._folder / name).iterdir()):
            if not _DAY_FILE.fullmatch(path.name):
                continue
            rows = _load(path)
            if not isinstance(rows, list):
                malformed_files.append(f"{name}/{path.name}")
                continue
            for row in rows:
                message = _message(row)
                if message is None:
                    malformed_messages += not _is_silent(row)
                    continue
                messages[message.ts] = message
            if not malformed_files:
                complete_until = max(messages, key=Decimal, default=None)
        return ChannelHistory(
            messages=tuple(sorted(messages.values(), key=lambda message: message.at)),
            malformed_files=tuple(malformed_files),
            malformed_messages=malformed_messages,
            complete_until=complete_until,
        )


def _load(path: Path) -> Any:
    """The JSON of a file; `None` when it cannot be read as such."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None


def _rows(path: Path) -> list[dict[str, Any]] | None:
    """The objects in a file's list; `None` when there is no list."""
    rows = _load(path)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None


def _user_names(path: Path) -> dict[str, str]:
    """What people are called; without the file nobody has a name."""
    names = {}
    for row in _rows(path) or ():
        profile = row.get("profile")
        candidates = [
            *((profile.get("display_name"), profile.get("real_name")) if isinstance(profile, dict) else ()),
            row.get("real_name"),
            row.get("name"),
        ]
        name = next((candidate for candidate in candidates if _is_text(candidate)), None)
        if name is not None and _is_text(row.get("id")):
            names[row["id"]] = name
    return names


def _message(row: Any) -> Message | None:
    """One message of a day file; `None` when it says nothing or is malformed."""
    if not isinstance(row, dict) or _is_silent(row):
        return None
    ts, thread_ts = row.get("ts"), row.get("thread_ts", row.get("ts"))
    text = row.get("text", "")
    if not (_is_ts(ts) and _is_ts(thread_ts) and isinstance(text, str)):
        return None
    return Message(
        ts=ts,
        thread_ts=thread_ts,
        user=next((row[key] for key in ("user", "username", "bot_id") if _is_text(row.get(key))), ""),
        text=text if text.strip() else "\n".join(_attachment_texts(row.get("attachments"))),
        reactions=frozenset(_reaction_names(row.get("reactions"))),
    )


def _attachment_texts(attachments: Any) -> Iterator[str]:
    """Alerting tools often say everything in attachments and nothing in the text."""
    for attachment in attachments if isinstance(attachments, list) else ():
        if isinstance(attachment, dict):
            texts = (attachment.get(key) for key in ("fallback", "text", "title"))
            yield next((text for text in texts if _is_text(text)), "")


def _reaction_names(reactions: Any) -> Iterator[str]:
    for reaction in reactions if isinstance(reactions, list) else ():
        if isinstance(reaction, dict) and _is_text(reaction.get("name")):
            yield reaction["name"].partition("::")[0]


def _is_silent(row: Any) -> bool:
    return isinstance(row, dict) and row.get("subtype") in _SILENT_SUBTYPES


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def _is_ts(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and _TS.fullmatch(value) is not None


def _is_folder_name(value: Any) -> TypeGuard[str]:
    """A name that cannot lead out of the export's folder."""
    return _is_text(value) and Path(value).name == value and value not in {".", ".."}
