import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.ranking import Document, rank, terms


def documents(**texts: str) -> list[Document]:
    return [Document(id=id_, title="", text=text) for id_, text in texts.items()]


INCIDENTS = documents(
    kafka="kafka consumer lag, scaled the consumers",
    disk="disk full on the broker, shortened retention",
    cert="the tls certificate expired, renewed it",
    oom="pods were OOMKilled after the deploy, the cache had no bound",
)


@pytest.mark.parametrize(
    ("message", "best"),
    [
        ("Why are our Kafka consumers lagging?", "kafka"),
        ("certificates are expiring", "cert"),
        ("the DISK is full!", "disk"),
        ("certificate", "cert"),
        ("what happened after the deploy with the pods?", "oom"),
    ],
)
def test_the_entry_that_speaks_about_the_message_comes_first(message: str, best: str) -> None:
    assert rank(message, INCIDENTS, limit=3)[0].id == best


@pytest.mark.parametrize(
    "message",
    ["", "   ", "!?", "how are you today", "the of and", "bake bread and cake for our deploy party"],
)
def test_a_message_about_something_else_matches_nothing(message: str) -> None:
    assert rank(message, INCIDENTS, limit=3) == []


def test_nothing_learned_matches_nothing() -> None:
    assert rank("kafka", [], limit=3) == []


def test_a_word_in_the_title_outweighs_one_in_the_text() -> None:
    titled = Document(id="b", title="redis failover", text="other words here")
    mentioned = Document(id="a", title="other words here", text="redis failover")
    assert [match.id for match in rank("redis failover", [mentioned, titled], limit=2)] == ["b", "a"]


def test_equal_scores_are_ordered_by_id() -> None:
    same = documents(c="redis down", a="redis down", b="redis down")
    assert [match.id for match in rank("redis", same, limit=3)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("words", "term"),
    [("expired expires expiring expire", "expir"), ("Disks disk DISK", "disk"), ("ss", "ss")],
)
def test_forms_of_a_word_are_one_term(words: str, term: str) -> None:
    assert set(terms(words)) == {term}


@given(
    message=st.text(max_size=200),
    texts=st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=80), max_size=8),
    limit=st.integers(1, 5),
)
def test_ranking_is_bounded_ordered_and_the_same_for_any_order_of_entries(
    message: str, texts: dict[str, str], limit: int
) -> None:
    entries = documents(**texts)
    matches = rank(message, entries, limit=limit)
    assert matches == rank(message, list(reversed(entries)), limit=limit)
    assert len(matches) <= limit
    assert all(match.score > 0 for match in matches)
    assert matches == sorted(matches, key=lambda match: (-match.score, match.id))
