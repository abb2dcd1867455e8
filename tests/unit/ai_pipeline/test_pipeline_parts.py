import json
from pathlib import Path
from typing import Any

import pytest

from ai_pipeline import sample_export_dir
from ai_pipeline.errors import PipelineFailed
from ai_pipeline.pipeline import BATCH_BYTES, batches, team_channels
from ai_pipeline.slack_export import SlackExport
from ai_pipeline.threads import Entry


def entry(number: int, answer: str = "-") -> Entry:
    return Entry(
        id=f"slack-C1-{number}.0",
        title="t",
        question="q",
        answer=answer,
        channel="C1",
        channel_name="incidents",
        thread_ts=f"{number}.0",
        tags=(),
    )


def test_channels_are_read_once_each_in_their_order() -> None:
    assert team_channels({"routing": {"slack_channel_ids": ["C2", "C1", "C2"]}}) == ["C2", "C1"]


@pytest.mark.parametrize(
    "config", [{}, {"routing": None}, {"routing": {}}, {"routing": {"slack_channel_ids": None}}]
)
def test_no_channels_are_no_channels(config: dict[str, Any]) -> None:
    assert team_channels(config) == []


@pytest.mark.parametrize("channels", ["C1", [5], ["c1"], ["../x"], {"C1": 1}, ["C1\n"]])
def test_what_is_no_list_of_channels_ends_the_run(channels: object) -> None:
    with pytest.raises(PipelineFailed):
        team_channels({"routing": {"slack_channel_ids": channels}})


def test_portions_are_bounded_by_number_and_by_size() -> None:
    assert [len(batch) for batch in batches(map(entry, range(401)))] == [200, 200, 1]
    heavy = [entry(number, "x" * 100_000) for number in range(11)]
    portions = list(batches(heavy))
    assert sum(map(len, portions)) == 11
    assert all(len(json.dumps(portion)) <= BATCH_BYTES + 1_000 for portion in portions)
    assert list(batches([])) == []


def test_the_bundled_export_holds_two_channels() -> None:
    export = SlackExport(sample_export_dir())
    assert (export.channel_name("C12345"), export.channel_name("C99999")) == (
        "platform-incidents",
        "data-warehouse",
    )
    assert export.user_names["U01MAYA"] == "Maya"


def write(folder: Path, name: str, value: object) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(value))


def test_alerts_without_text_speak_through_their_attachments(tmp_path: Path) -> None:
    write(
        tmp_path,
        "channels.json",
        [{"id": "C1", "name": "alerts"}, 5, {"id": "C2", "name": ".."}, {"name": "x"}],
    )
    row = {"ts": "1.0", "text": "", "username": "Alerts", "attachments": [{"title": "Disk full"}, 7, {}]}
    write(tmp_path, "alerts/2026-03-01.json", [row | {"reactions": [{"name": "fixed::skin-tone-2"}, 1]}])
    export = SlackExport(tmp_path)
    history = export.read("C1")
    assert history is not None
    [message] = history.messages
    assert (message.user, message.text, message.reactions) == ("Alerts", "Disk full\n", {"fixed"})
    assert export.read("C2") is None


def test_private_channels_are_found_in_their_own_index(tmp_path: Path) -> None:
    write(tmp_path, "channels.json", [])
    write(tmp_path, "groups.json", [{"id": "G1", "name": "secret-incidents"}])
    assert SlackExport(tmp_path).channel_name("G1") == "secret-incidents"
    assert SlackExport(tmp_path).user_names == {}


def test_nothing_after_an_unreadable_day_counts_as_seen(tmp_path: Path) -> None:
    write(tmp_path, "channels.json", [{"id": "C1", "name": "c"}])
    write(tmp_path, "c/2026-03-01.json", [{"ts": "1.0", "text": "a"}, {"ts": "2.0", "text": "b"}])
    write(tmp_path, "c/2026-03-02.json", {"not": "a list"})
    write(tmp_path, "c/2026-03-03.json", [{"ts": "9.0", "text": "c"}])
    history = SlackExport(tmp_path).read("C1")
    assert history is not None
    assert len(history.messages) == 3
    assert (history.malformed_files, history.complete_until) == (("c/2026-03-02.json",), "2.0")
