"""How far a channel has been looked at: an optimisation only, since learning twice changes nothing."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ai_pipeline.threads import Thread

_TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The newest Slack timestamp seen, by channel."""

    channels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Any) -> "Checkpoint":
        """Read what was stored; anything unreadable counts as never seen, which is always safe."""
        channels = value.get("channels") if isinstance(value, dict) else None
        if not isinstance(channels, dict):
            return cls()
        return cls(
            channels={
                channel: ts for channel, ts in channels.items() if isinstance(ts, str) and _TS.fullmatch(ts)
            }
        )

    def as_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {"channels": dict(sorted(self.channels.items()))}

    def fresh(self, channel: str, threads: Iterable[Thread]) -> list[Thread]:
        """The threads with activity after what was seen; an old thread with a new reply is among them."""
        seen = self.channels.get(channel)
        return [thread for thread in threads if seen is None or thread.last_activity > Decimal(seen)]

    def advanced(self, channel: str, seen: str | None) -> "Checkpoint":
        """With `seen` noted for the channel; never backwards."""
        before = self.channels.get(channel)
        if seen is None or (before is not None and Decimal(before) >= Decimal(seen)):
            return self
        return Checkpoint(channels={**self.channels, channel: seen})
