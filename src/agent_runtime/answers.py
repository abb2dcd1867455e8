"""From ranked entries to an answer in words: quotes what the team wrote, and says when there is nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime

from agent_runtime.config_service import KnowledgeEntry

#: The longest quotation of one entry's field, in characters.
MAX_QUOTE = 1_500

_NOTHING_LEARNED = (
    "I cannot answer this yet: nothing has been learned for this team so far. I learn from resolved threads "
    "in the team's Slack channels, each time the team's pipeline runs."
)
_NO_MATCH = (
    "I found nothing about this in what the team has learned (entries searched: {count}), and I would rather "
    "not guess. What would help: the service, the exact error message or alert, and when it began. "
    "Once a thread about it is resolved in one of the team's Slack channels, the next pipeline run learns it."
)
_TRUNCATED = "(The team has more entries than I can search at once; I looked at the first {count}.)"


def compose(
    best: Sequence[KnowledgeEntry],
    *,
    searched: int,
    truncated: bool,
    prefixes: Sequence[str | None],
) -> str:
    """The whole answer.

    Args:
        best: the matching entries, best first.
        searched: how many entries were looked at.
        truncated: whether there were more.
        prefixes: texts that the team wants in front, in order; empty ones are left out.
    """
    if best:
        parts = [_quote(entry, first=index == 0) for index, entry in enumerate(best)]
    else:
        parts = [_NO_MATCH.format(count=searched) if searched else _NOTHING_LEARNED]
    if truncated:
        parts.append(_TRUNCATED.format(count=searched))
    return "\n\n".join([prefix.strip() for prefix in prefixes if prefix and prefix.strip()] + parts)


def _quote(entry: KnowledgeEntry, *, first: bool) -> str:
    """One entry: what happened, where it was said, and what helped."""
    lead = "The closest thing the team has seen" if first else "Also related"
    lines = [f"{lead}: {entry.title or entry.id}{_place(entry)}"]
    if first and entry.question and entry.question.strip() != entry.title.strip():
        lines += ["What was reported:", _quoted(entry.question)]
    if entry.answer:
        lines += ["What helped:", _quoted(entry.answer)]
    return "\n".join(lines)


def _place(entry: KnowledgeEntry) -> str:
    source = entry.source
    channel = f"#{source.channel_name}" if source.channel_name else source.channel
    facts = [fact for fact in (channel, _day(source.thread_ts)) if fact]
    return f" ({', '.join(facts)})" if facts else ""


def _day(thread_ts: str) -> str:
    """The day of a Slack timestamp (seconds since 1970 with a fraction) in UTC; empty when it is none."""
    try:
        return datetime.fromtimestamp(float(thread_ts), tz=UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def _quoted(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_QUOTE:
        text = text[:MAX_QUOTE].rstrip() + " …"
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
