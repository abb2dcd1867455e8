"""When to stop and ask."""

import pytest

from orchestrator.domain.brake import TEAMS, WINDOW_S, allowed, engages


@pytest.mark.parametrize(
    ("teams", "most"), [(0, 10), (3, 10), (200, 10), (201, 10), (1000, 50), (10_000, 500)]
)
def test_ten_teams_or_five_per_cent_whatever_is_more(teams: int, most: int) -> None:
    assert allowed(teams) == most
    assert not engages(most, teams=teams, released_at=None, now=0)
    assert engages(most + 1, teams=teams, released_at=None, now=0)


def test_a_release_holds_for_a_window() -> None:
    assert not engages(TEAMS + 1, teams=0, released_at=100, now=99 + WINDOW_S)
    assert engages(TEAMS + 1, teams=0, released_at=100, now=100 + WINDOW_S)
