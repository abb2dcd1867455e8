from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_pipeline.checkpoint import Checkpoint
from ai_pipeline.slack_export import Message
from ai_pipeline.threads import Thread

timestamps = st.builds("{}.{:06}".format, st.integers(0, 10**10), st.integers(0, 999_999))


def thread(*times: str) -> Thread:
    root, *replies = (Message(ts=ts, thread_ts=times[0], user="U1", text="words") for ts in times)
    return Thread(root=root, replies=tuple(replies))


def test_a_channel_never_seen_is_looked_at_as_a_whole() -> None:
    threads = [thread("1.0"), thread("2.0")]
    assert Checkpoint().fresh("C1", threads) == threads


def test_only_threads_with_later_activity_are_looked_at() -> None:
    old, revived, new = thread("1.0", "2.0"), thread("1.5", "9.000002"), thread("10.0")
    seen = Checkpoint(channels={"C1": "9.000001"})
    assert seen.fresh("C1", [old, revived, new]) == [revived, new]


def test_channels_do_not_touch_each_other() -> None:
    seen = Checkpoint(channels={"C1": "5.0"}).advanced("C2", "3.0")
    assert seen.as_json() == {"channels": {"C1": "5.0", "C2": "3.0"}}
    assert seen.advanced("C2", None) == seen


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        [],
        {},
        {"channels": 5},
        {"channels": {"C1": 5}},
        {"channels": {"C1": "x"}},
        {"channels": {"C1": "1"}},
    ],
)
def test_what_cannot_be_read_counts_as_never_seen(value: object) -> None:
    assert Checkpoint.from_json(value) == Checkpoint()


@given(st.dictionaries(st.sampled_from(["C1", "C2", "C3"]), timestamps))
def test_what_is_stored_is_read_again(channels: dict[str, str]) -> None:
    checkpoint = Checkpoint(channels=channels)
    assert Checkpoint.from_json(checkpoint.as_json()) == checkpoint


@given(st.lists(timestamps, min_size=1))
def test_a_checkpoint_ends_at_the_newest_whatever_the_order(seen: list[str]) -> None:
    checkpoint = Checkpoint()
    for ts in seen:
        checkpoint = checkpoint.advanced("C1", ts)
    assert Decimal(checkpoint.channels["C1"]) == max(map(Decimal, seen))
    assert checkpoint.fresh("C1", [thread(ts) for ts in seen]) == []
