from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.quantities import InvalidQuantityError, canonical, check, parse
from tests.unit.domain import recordings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("100m", "0.1"),
        ("0.5", "0.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+1", "1"),
        ("-1", "-1"),
        ("1k", "1000"),
        ("1Ki", "1024"),
        ("1.5Gi", "1610612736"),
        ("1E", "1000000000000000000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("12e-1", "1.2"),
        ("1e+3", "1000"),
        # Rounded up: whoever asks for something gets something.
        ("0.1m", "0.001"),
        ("1n", "0.001"),
        ("1e-999999999", "0.001"),
        # The largest there is.
        ("1e999999999", "9223372036854775807"),
        ("16Ei", "9223372036854775807"),
    ],
)
def test_reads_what_kubernetes_reads(text: str, value: str):
    assert parse(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lots",
        "1 Gi",
        " 1",
        "1\n",
        "1.1.1",
        "1gi",
        "1K",
        "1mi",
        "1e",
        "1e1.5",
        "Gi",
        "m",
        ".",
        "+",
        "--1",
        "0x1",
        "1_0",
        "\u0661",
        "1Gii",
        "1iG",
        "1kM",
        "nan",
        "inf",
        "1" * 65,
    ],
)
def test_refuses_what_is_no_quantity(text: str):
    assert check(text)
    with pytest.raises(InvalidQuantityError):
        parse(text)


def test_what_is_asked_for_is_not_negative():
    assert check("-1Gi") == "must be greater than or equal to 0"
    assert check("0") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1023", "1023"),
        ("0.5Ki", "512"),
        ("0.0001Ki", "103m"),
        ("1000", "1k"),
        ("1e3", "1e3"),
        ("10e2", "1e3"),
        ("1500e0", "1500"),
        ("0Gi", "0"),
        ("0.1m", "1m"),
    ],
)
def test_writes_as_the_api_server_does(text: str, expected: str):
    assert canonical(text) == expected


@pytest.mark.parametrize("step", recordings.steps("container-resources"), ids=recordings.note)
def test_what_is_sent_in_canonical_form_comes_back_unchanged(step: dict):
    if not recordings.was_taken(step):
        return
    (sent,) = step["request"]["body"]["spec"]["template"]["spec"]["containers"]
    (kept,) = step["response"]["body"]["spec"]["template"]["spec"]["containers"]
    for side, asked in sent["resources"].items():
        assert {name: canonical(str(value)) for name, value in asked.items()} == kept["resources"][side]


@given(
    st.decimals(0, 10**12, places=3),
    st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-2"]),
)
def test_the_canonical_form_keeps_the_value(number: Decimal, suffix: str):
    text = f"{number:f}{suffix}"
    assert parse(canonical(text)) == parse(text)
    assert canonical(canonical(text)) == canonical(text)


@given(st.text(alphabet="0123456789.+-eEinumkKMGTP", max_size=12))
def test_any_text_gets_an_answer(text: str):
    if check(text) is None:
        assert parse(canonical(text)) == parse(text)
