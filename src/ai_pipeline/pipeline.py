"""One run: check who we are, read the team's own channels, learn what is resolved, note how far we came."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ai_pipeline.checkpoint import Checkpoint
from ai_pipeline.config_service import ConfigService, Learned
from ai_pipeline.errors import PipelineFailed
from ai_pipeline.slack_export import ChannelHistory, SlackExport
from ai_pipeline.threads import Entry, entry_of, threads_of

CHECKPOINT = "slack"
#: One request carries at most this many entries, and about this many bytes of JSON.
BATCH_ENTRIES, BATCH_BYTES = 200, 512 * 1024

_CHANNEL_ID = re.compile(r"[A-Z0-9]{2,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelResult:
    """What one channel brought."""

    channel: str
    learned: Learned = field(default_factory=Learned)
    threads_seen: int = 0
    malformed_files: int = 0
    malformed_messages: int = 0
    is_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a whole run brought."""

    results: tuple[ChannelResult, ...]

    def as_json(self) -> dict[str, Any]:
        """The line that ends the job's log."""
        learned = sum((result.learned for result in self.results), Learned())
        return {
            "learned": learned.created,
            "updated": learned.updated,
            "unchanged": learned.unchanged,
            "threads_seen": sum(result.threads_seen for result in self.results),
            "channels": [result.channel for result in self.results if not result.is_missing],
            "missing_channels": [result.channel for result in self.results if result.is_missing],
            "malformed_files": sum(result.malformed_files for result in self.results),
            "malformed_messages": sum(result.malformed_messages for result in self.results),
        }


class Pipeline:
    """Learns from one team's channels.

    Args:
        config_service: where everything is read and kept.
        open_export: opens the export; called only once it is certain whose channels may be read.
        say: takes one line of progress.
    """

    def __init__(
        self,
        *,
        config_service: ConfigService,
        open_export: Callable[[], SlackExport],
        say: Callable[[str], None],
    ) -> None:
        self._config_service = config_service
        self._open_export = open_export
        self._say = say

    def run(self, *, org_id: str, team_node_id: str) -> Summary:
        """Learn for this very team.

        Raises:
            PipelineFailed: the token is another's, the export or the Config Service cannot be used.
        """
        self._check_identity(org_id, team_node_id)
        channels = team_channels(self._config_service.config())
        if not channels:
            self._say("no Slack channels are routed to the team; nothing to read")
            return Summary(results=())
        export = self._open_export()
        checkpoint = Checkpoint.from_json(self._config_service.checkpoint(CHECKPOINT))
        results = []
        for channel in channels:
            result, checkpoint = self._learn_channel(export, channel, checkpoint)
            results.append(result)
        return Summary(results=tuple(results))

    def _check_identity(self, org_id: str, team_node_id: str) -> None:
        identity = self._config_service.identity()
        if identity.kind != "team" or (identity.org_id, identity.team_node_id) != (org_id, team_node_id):
            raise PipelineFailed(
                f"the token in TEAM_TOKEN_FILE is not that of team {org_id}/{team_node_id}; nothing was read"
            )

    def _learn_channel(
        self, export: SlackExport, channel: str, checkpoint: Checkpoint
    ) -> tuple[ChannelResult, Checkpoint]:
        """Learn one channel and note it: entries first, so that a crash in between only repeats work."""
        history = export.read(channel)
        if history is None:
            self._say(f"{channel}: not in the export")
            return ChannelResult(channel=channel, is_missing=True), checkpoint
        name = export.channel_name(channel) or channel
        threads = threads_of(history.messages)
        fresh = checkpoint.fresh(channel, threads)
        entries = [
            entry
            for thread in fresh
            if (entry := entry_of(thread, channel=channel, channel_name=name, user_names=export.user_names))
        ]
        learned = Learned()
        for batch in batches(entries):
            learned += self._config_service.learn(batch)
        advanced = checkpoint.advanced(channel, history.complete_until)
        if advanced != checkpoint:
            self._config_service.save_checkpoint(CHECKPOINT, advanced.as_json())
        label = f"#{name} ({channel})"
        self._report(label, history)
        self._say(
            f"{label}: {len(fresh)} of {len(threads)} threads looked at, {len(entries)} resolved, "
            f"{learned.created} new, {learned.updated} updated, {learned.unchanged} as before"
        )
        result = ChannelResult(
            channel=channel,
            learned=learned,
            threads_seen=len(fresh),
            malformed_files=len(history.malformed_files),
            malformed_messages=history.malformed_messages,
        )
        return result, advanced

    def _report(self, channel: str, history: ChannelHistory) -> None:
        for file in history.malformed_files:
            self._say(f"{channel}: {file} is unreadable and was passed over; it is tried again next time")
        if history.malformed_messages:
            self._say(f"{channel}: {history.malformed_messages} malformed messages were passed over")


def team_channels(config: dict[str, Any]) -> list[str]:
    """The ids of the channels routed to the team, each once, in the order of the configuration.

    Raises:
        PipelineFailed: the configuration holds something else there.
    """
    routing = config.get("routing")
    channels = routing.get("slack_channel_ids") if isinstance(routing, dict) else routing
    if channels is None:
        return []
    if not isinstance(channels, list) or not all(
        isinstance(channel, str) and _CHANNEL_ID.fullmatch(channel) for channel in channels
    ):
        raise PipelineFailed(
            "routing.slack_channel_ids in the team's configuration is no list of channel ids"
        )
    return list(dict.fromkeys(channels))


def batches(entries: Iterable[Entry]) -> Iterator[list[dict[str, Any]]]:
    """Entries in portions that one request can carry."""
    batch: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        row = entry.as_json()
        row_size = len(json.dumps(row).encode())
        if batch and (len(batch) == BATCH_ENTRIES or size + row_size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row_size
    if batch:
        yield batch
