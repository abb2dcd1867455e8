from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.durations import InvalidDurationError, check, parse


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0", timedelta(0)),
        ("0s", timedelta(0)),
        ("72h", timedelta(hours=72)),
        ("90m", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("30m1h", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        (".5s", timedelta(milliseconds=500)),
        ("5.s", timedelta(seconds=5)),
        ("+1ms", timedelta(milliseconds=1)),
        ("-1h", timedelta(hours=-1)),
        ("1us", timedelta(microseconds=1)),
        ("1µs", timedelta(microseconds=1)),
        ("1999ns", timedelta(microseconds=1)),
        ("2562047h", timedelta(hours=2562047)),
    ],
)
def test_reads_what_go_reads(text: str, duration: timedelta):
    assert parse(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "h",
        "1d",
        "1h ",
        " 1h",
        "1h\n",
        "1H",
        ".s",
        "1..5h",
        "--1h",
        "1h-1m",
        "\u0661h",
        "2562048h",
        "00",
        "1" * 80 + "h",
    ],
)
def test_refuses_what_is_no_duration(text: str):
    assert check(text)
    with pytest.raises(InvalidDurationError):
        parse(text)


def test_a_wait_is_not_negative():
    assert check("-1h") == "must not be negative"
    assert check("-0") is None


@given(st.text(alphabet="0123456789.+-hmsunµ", max_size=12))
def test_any_text_gets_an_answer(text: str):
    assert check(text) is not None or parse(text) >= timedelta(0)
