from agent_runtime.answers import MAX_QUOTE, compose
from agent_runtime.config_service import EntrySource, KnowledgeEntry

ENTRY = KnowledgeEntry(
    id="k1",
    title="Kafka lag",
    question="Kafka lag\nsince noon",
    answer="Scaled up.\n\nThen rekeyed.",
    source=EntrySource(channel="C1", channel_name="incidents", thread_ts="1772440920.000100"),
)


def answer(*best: KnowledgeEntry, searched: int = 5, truncated: bool = False, prefixes: tuple = ()) -> str:
    return compose(best, searched=searched, truncated=truncated, prefixes=prefixes)


def test_quotes_the_entry_with_its_place_and_day() -> None:
    assert answer(ENTRY) == (
        "The closest thing the team has seen: Kafka lag (#incidents, 2026-03-02)\n"
        "What was reported:\n> Kafka lag\n> since noon\n"
        "What helped:\n> Scaled up.\n>\n> Then rekeyed."
    )


def test_further_entries_are_named_as_related() -> None:
    other = ENTRY.model_copy(update={"title": "Disk full", "answer": "Freed some."})
    assert "\n\nAlso related: Disk full (#incidents, 2026-03-02)\nWhat helped:\n> Freed some." in answer(
        ENTRY, other
    )


def test_an_entry_without_a_source_is_quoted_all_the_same() -> None:
    assert answer(KnowledgeEntry(id="k9")).splitlines() == ["The closest thing the team has seen: k9"]
    odd = KnowledgeEntry(id="k9", source=EntrySource(channel="C1", thread_ts="1e99"))
    assert answer(odd) == "The closest thing the team has seen: k9 (C1)"


def test_prefixes_come_first_and_empty_ones_are_left_out() -> None:
    assert answer(prefixes=("Hello.", None, "  ", "Be brief.")).startswith(
        "Hello.\n\nBe brief.\n\nI found nothing"
    )


def test_long_quotations_are_cut() -> None:
    long = ENTRY.model_copy(update={"answer": "x" * (MAX_QUOTE + 1)})
    assert answer(long).endswith("x …")


def test_says_when_not_everything_was_searched() -> None:
    assert "I looked at the first 5." in answer(searched=5, truncated=True)
