import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_pipeline.mrkdwn import plain_text

NAMES = {"U1": "Maya"}


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<@U1> please look", "@Maya please look"),
        ("<@U2> left", "@someone left"),
        ("<@U2|tomas> left", "@tomas left"),
        (
            "see <https://x.example/a?b=1&amp;c=2|the runbook>",
            "see the runbook (https://x.example/a?b=1&c=2)",
        ),
        ("<https://x.example>", "https://x.example"),
        ("<https://x.example|https://x.example>", "https://x.example"),
        ("<mailto:a@x.example|a@x.example>", "a@x.example"),
        ("in <#C1|incidents> and <#C2>", "in #incidents and #channel"),
        ("<!here> <!channel> <!subteam^S1|@oncall> <!subteam^S2>", "@here @channel @oncall @group"),
        ("<!date^1392734382^{date}|Feb 18, 2014>", "Feb 18, 2014"),
        ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        ("1 < 2 > 0", "1 < 2 > 0"),
        ("a\x00b\r\nc\td", "ab\nc\td"),
        ("\ud83d half an emoji", "? half an emoji"),
    ],
)
def test_markup_becomes_what_a_person_reads(markup: str, text: str) -> None:
    assert plain_text(markup, NAMES) == text


@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_text_can_be_sent_as_utf8(text: str) -> None:
    plain_text(text, NAMES).encode("utf-8")
