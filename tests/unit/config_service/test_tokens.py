"""Making, reading, and comparing tokens."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config_service.domain.tokens import (
    digest,
    matches,
    new_org_admin_token,
    new_team_token,
    prefix_of,
)

KEY = b"k" * 32


def test_ids_with_dots_do_not_confuse_the_prefix():
    token = new_team_token("acme.io", "team.one.two")
    assert token.text.startswith("acme.io.team.one.two.ifx_")
    assert prefix_of(token.text) == token.prefix


def test_an_org_admins_token_shows_what_it_is():
    token = new_org_admin_token("acme.io")
    assert token.text.startswith(f"acme.io.ifxo_{token.prefix}_")
    assert prefix_of(token.text) == token.prefix


def test_the_longest_ids_still_make_a_token():
    token = new_team_token("o" * 63, "t" * 63)
    assert prefix_of(token.text) == token.prefix


def test_no_two_tokens_are_alike():
    texts = {new_team_token("a", "b").text for _ in range(100)}
    assert len(texts) == 100


def test_a_token_is_not_shown_by_accident():
    token = new_team_token("a", "b")
    assert token.text not in repr(token)


@pytest.mark.parametrize("position", [-1, -20, -50])
def test_a_mistyped_token_is_told_without_looking_it_up(position):
    text = new_team_token("a", "b").text
    wrong = list(text)
    wrong[position] = "A" if wrong[position] != "A" else "B"
    assert prefix_of("".join(wrong)) is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=300))
def test_any_other_text_has_no_prefix(text):
    assert prefix_of(text) is None


def test_only_the_whole_text_matches():
    token = new_team_token("acme", "sre")
    stored = digest(token.text, KEY)
    assert matches(token.text, stored, KEY)
    assert not matches(token.text.replace("acme", "evil"), stored, KEY)
    assert not matches(token.text, stored, b"another key that is long enough")
