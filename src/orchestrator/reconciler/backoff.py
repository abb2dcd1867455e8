"""How long to wait before looking at a team again."""

BASE_S = 0.5
#: A dependency that stays away is asked this seldom at most, in seconds.
CAP_S = 60.0
#: What the cluster is visibly busy with is looked at more often.
BUSY_CAP_S = 5.0


def backoff_s(failures: int, *, jitter: float, at_least_s: float = 0.0, busy: bool = False) -> float:
    """Seconds until the next look: exponential, with the upper half of it random so that teams spread out.

    Args:
        failures: passes in a row that did not go through, from 1.
        jitter: a random number between 0 and 1.
        at_least_s: what the other side asked for.
        busy: the cluster works on it, nothing is wrong.
    """
    cap = BUSY_CAP_S if busy else CAP_S
    whole = min(cap, BASE_S * 2.0 ** min(failures - 1, 16))
    return max(at_least_s, whole / 2 + whole / 2 * jitter)
