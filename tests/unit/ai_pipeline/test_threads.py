import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_pipeline.slack_export import Message
from ai_pipeline.threads import (
    MAX_ANSWER,
    MAX_QUESTION,
    MAX_TITLE,
    Entry,
    Thread,
    entry_of,
    resolving_replies,
    says_resolved,
    threads_of,
)

NAMES = {"U1": "Maya", "U2": "Jonas"}


def message(ts: str, text: str = "words", *, of: str | None = None, marks: tuple[str, ...] = ()) -> Message:
    return Message(ts=ts, thread_ts=of or ts, user="U1", text=text, reactions=frozenset(marks))


def thread(*replies: Message, root: Message | None = None) -> Thread:
    return Thread(root=root or message("1.0", "Disk full"), replies=replies)


def learned(wanted: Thread) -> Entry | None:
    return entry_of(wanted, channel="C1", channel_name="incidents", user_names=NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "Resolved.",
        "fixed, no more alerts",
        "Root cause: a full disk",
        "the root-cause was DNS",
        "We looked at it. Mitigated at 10:55",
        "Is it fixed? Yes, it is fixed now.",
        "still slow\nsolved by a restart",
    ],
)
def test_a_statement_of_resolution_counts(text: str) -> None:
    assert says_resolved(text)


@pytest.mark.parametrize(
    "text",
    [
        "Is it fixed?",
        "not fixed yet",
        "it isn't really fixed",
        "it isn\u2019t fixed",
        "this is unresolved",
        "will be fixed tomorrow",
        "until this is resolved we wait",
        "looking for the root cause",
        "root cause still unknown",
        "the prefixed name",
        "nothing to see",
        "",
    ],
)
def test_a_question_a_denial_or_a_hope_does_not_count(text: str) -> None:
    assert not says_resolved(text)


def test_messages_become_threads_and_replies_without_a_root_are_left_out() -> None:
    root, early, late = message("2.0"), message("3.0", of="2.0"), message("10.0", of="2.0")
    alone, orphan = message("1.0"), message("5.0", of="4.0")
    assert threads_of([late, orphan, root, alone, early]) == [
        Thread(root=alone, replies=()),
        Thread(root=root, replies=(early, late)),
    ]
    assert threads_of([late, root])[0].last_activity == late.at


def test_a_marked_reply_is_the_answer() -> None:
    marked = message("3.0", "restarted it", marks=("heavy_check_mark",))
    assert resolving_replies(thread(message("2.0", "hm"), marked)) == (marked,)


def test_a_marked_root_takes_the_last_replies_when_none_says_how() -> None:
    root = message("1.0", "Disk full", marks=("white_check_mark",))
    replies = tuple(message(f"{number}.0", f"step {number}") for number in range(2, 8))
    assert resolving_replies(thread(*replies, root=root)) == replies[-3:]


def test_a_thread_without_a_sign_or_without_words_teaches_nothing() -> None:
    assert learned(thread(message("2.0", "hm", marks=("eyes",)))) is None
    assert learned(thread(root=message("1.0", "Disk full", marks=("white_check_mark",)))) is None
    assert learned(thread(message("2.0", "fixed"), root=message("1.0", "  "))) is None


def test_an_entry_carries_names_topics_and_where_it_was_said() -> None:
    entry = learned(thread(message("2.0", "<@U2> fixed: freed the disk, password=hunter2")))
    assert entry is not None
    assert entry.as_json() == {
        "id": "slack-C1-1.0",
        "title": "Disk full",
        "question": "Disk full",
        "answer": "Maya: @Jonas fixed: freed the disk, password=[redacted]",
        "source": {"channel": "C1", "channel_name": "incidents", "thread_ts": "1.0"},
        "tags": ["disk"],
    }


def test_long_texts_are_cut_between_words() -> None:
    entry = learned(thread(message("2.0", "fixed " * 5_000), root=message("1.0", "word " * 5_000)))
    assert entry is not None
    assert len(entry.title) <= MAX_TITLE
    assert len(entry.question) <= MAX_QUESTION
    assert len(entry.answer) <= MAX_ANSWER
    assert entry.title.endswith("word …")


@given(st.text(max_size=300), st.text(max_size=300))
def test_whatever_people_write_an_entry_is_within_bounds(question: str, answer: str) -> None:
    entry = learned(thread(message("2.0", "fixed " + answer), root=message("1.0", question)))
    assert entry is None or (0 < len(entry.title) <= MAX_TITLE and entry.answer)
