"""When to stop and ask: many teams that are to be made anew or emptied at once, though nobody asked for it."""

#: Marks older than this no longer count, in seconds.
WINDOW_S = 600.0
#: So many teams, or this share of all of them if that is more, may be put right within the window.
TEAMS, SHARE = 10, 0.05


def allowed(teams: int) -> int:
    """How many of so many teams may be put right within the window."""
    return max(TEAMS, int(teams * SHARE))


def engages(marked: int, *, teams: int, released_at: float | None, now: float) -> bool:
    """Whether it is time to stop.

    Args:
        marked: teams that were to be put right within the window.
        teams: how many there are.
        released_at: when somebody last said that it may go on, which holds for one window.
        now: seconds since the epoch.
    """
    if released_at is not None and now - released_at < WINDOW_S:
        return False
    return marked > allowed(teams)
