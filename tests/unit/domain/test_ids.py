import pytest

from orchestrator.domain import ids


@pytest.mark.parametrize("text", ["a", "Z", "0", "platform-sre", "a.b_c-D", "a" * 63, "a..b", "a--b"])
def test_takes_what_is_also_a_label_value(text: str):
    assert ids.check_id(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-a",
        "a-",
        ".a",
        "a.",
        "_",
        "a b",
        "a/b",
        "a\n",
        "\na",
        "é",
        "a" * 64,
        "a\0",
        "\u0661",
        "\uff41",
        "a$b",
    ],
)
def test_refuses_anything_else(text: str):
    assert ids.check_id(text)


@pytest.mark.parametrize("text", ["C1", "C12345", "0" * 32])
def test_takes_slack_channels(text: str):
    assert ids.check_slack_channel_id(text) is None


@pytest.mark.parametrize("text", ["", "C", "c12345", "C-1", "C1\n", "0" * 33, "Ç1", "C\u0661"])
def test_refuses_what_is_no_slack_channel(text: str):
    assert ids.check_slack_channel_id(text)
