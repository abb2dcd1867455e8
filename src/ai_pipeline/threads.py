"""From messages to knowledge: what a thread is, when it is resolved, and the entry it becomes."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ai_pipeline.mrkdwn import plain_text
from ai_pipeline.redaction import redact
from ai_pipeline.slack_export import Message

MAX_TITLE, MAX_QUESTION, MAX_ANSWER = 120, 4_000, 8_000
#: When only a reaction says that a thread is resolved, its last replies are taken for the solution.
LAST_REPLIES = 3

_RESOLVED_REACTIONS = frozenset(
    {"white_check_mark", "heavy_check_mark", "ballot_box_with_check", "resolved", "fixed", "solved"}
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_SIGNAL = re.compile(r"\b(?:resolved|fixed|solved|mitigated|root[ -]cause)\b", re.IGNORECASE)
#: Words that turn a signal into its opposite, or into a wish, when they stand shortly before it.
_DOUBT_BEFORE = re.compile(
    r"(?:\b(?:not|never|no|until|once|unless|if|when|cannot|almost|partially|partly|without|find|finding|need"
    r"|unknown|looking|investigating|searching)\b|n['\u2019]t\b|\b(?:to|will|should|must) be\b)"
    r"(?:\W+\w+){0,3}\W*$",
    re.IGNORECASE,
)
_DOUBT_AFTER = re.compile(r"^\W*(?:\w+\W+){0,2}(?:unknown|unclear|not|still|pending|tbd)\b", re.IGNORECASE)

#: Topics by the words that give them away; they become an entry's tags.
_TOPICS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (topic, re.compile(rf"\b(?:{words})\b", re.IGNORECASE))
    for topic, words in (
        ("certificate", r"certificates?|certs?|tls|x509"),
        ("cpu", r"cpu|throttl\w+"),
        ("database", r"database|postgres\w*|mysql|sql"),
        ("deploy", r"deploy\w*|rollouts?|roll(?:ed|ing)? ?back"),
        ("disk", r"disks?|volumes?|inodes?|pvc"),
        ("dns", r"dns|coredns"),
        ("kafka", r"kafka|consumers?"),
        ("kubernetes", r"kubernetes|k8s|pods?|crashloop\w*"),
        ("latency", r"latency|p9\d|slow|timeouts?"),
        ("memory", r"memory|oom\w*|heap"),
        ("network", r"network|firewall|load balancer"),
        ("redis", r"redis"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A root message and its replies, oldest first."""

    root: Message
    replies: tuple[Message, ...]

    @property
    def last_activity(self) -> Decimal:
        """When the newest message was written."""
        return max(message.at for message in (self.root, *self.replies))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing learned, ready to be sent."""

    id: str
    title: str
    question: str
    answer: str
    channel: str
    channel_name: str
    thread_ts: str
    tags: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As the Config Service takes it."""
        source = {"channel": self.channel, "channel_name": self.channel_name, "thread_ts": self.thread_ts}
        texts = {"title": self.title, "question": self.question, "answer": self.answer}
        return {"id": self.id} | texts | {"source": source, "tags": list(self.tags)}


def threads_of(messages: Iterable[Message]) -> list[Thread]:
    """Group messages into threads, by the time of their roots; replies without a root are left out."""
    roots: dict[str, Message] = {}
    replies: defaultdict[str, list[Message]] = defaultdict(list)
    for message in messages:
        if message.ts == message.thread_ts:
            roots[message.ts] = message
        else:
            replies[message.thread_ts].append(message)
    return [
        Thread(root=root, replies=tuple(sorted(replies[ts], key=lambda reply: reply.at)))
        for ts, root in sorted(roots.items(), key=lambda item: item[1].at)
    ]


def resolving_replies(thread: Thread) -> tuple[Message, ...]:
    """The replies that say how the thread was resolved; empty when it is not, or nobody said how."""
    telling = tuple(reply for reply in thread.replies if _is_marked(reply) or says_resolved(reply.text))
    if telling or not _is_marked(thread.root):
        return telling
    return thread.replies[-LAST_REPLIES:]


def says_resolved(text: str) -> bool:
    """Whether a sentence states a resolution: no question, no denial, no hope."""
    return any(
        not sentence.rstrip().endswith("?")
        and not _DOUBT_BEFORE.search(sentence[: signal.start()])
        and not _DOUBT_AFTER.search(sentence[signal.end() :])
        for sentence in _SENTENCE_END.split(text)
        for signal in _SIGNAL.finditer(sentence)
    )


def entry_of(
    thread: Thread, *, channel: str, channel_name: str, user_names: Mapping[str, str]
) -> Entry | None:
    """What the thread teaches; `None` when it is not resolved or says nothing.

    The id depends on the channel and the thread only, so learning twice is learning once.
    """
    question = _learned(thread.root, user_names)
    answers = [
        (_author(reply, user_names), text)
        for reply in resolving_replies(thread)
        if (text := _learned(reply, user_names))
    ]
    if not question or not answers:
        return None
    answer = "\n".join(f"{author}: {text}" for author, text in answers)
    everything = f"{question}\n{answer}"
    return Entry(
        id=f"slack-{channel}-{thread.root.ts}",
        title=_shortened(question.splitlines()[0], MAX_TITLE),
        question=_shortened(question, MAX_QUESTION),
        answer=_shortened(answer, MAX_ANSWER),
        channel=channel,
        channel_name=channel_name,
        thread_ts=thread.root.ts,
        tags=tuple(topic for topic, words in _TOPICS if words.search(everything)),
    )


def _is_marked(message: Message) -> bool:
    return not message.reactions.isdisjoint(_RESOLVED_REACTIONS)


def _learned(message: Message, user_names: Mapping[str, str]) -> str:
    """Redacted before anything is cut, so that no cut can save half a secret from being recognised."""
    return redact(plain_text(message.text, user_names))


def _author(message: Message, user_names: Mapping[str, str]) -> str:
    return plain_text(user_names.get(message.user, message.user), {}) or "someone"


def _shortened(text: str, limit: int) -> str:
    """At most `limit` characters, cut between words where there are any."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 2]
    return (cut.rsplit(maxsplit=1)[0] if " " in cut else cut) + " …"
