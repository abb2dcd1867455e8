"""What a Job needs next, decided from counts alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRules:
    """The wanted half of a Job.

    Attributes:
        completions: So many pods have to succeed; `None`: any one, then the rest may end.
        parallelism: So many may run at once.
        backoff_limit: So many may fail.
        deadline: For how long the Job may be active.
        suspended: Nothing may run now.
    """

    completions: int | None
    parallelism: int
    backoff_limit: int
    deadline: timedelta | None = None
    suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCounts:
    """What has become of a Job so far.

    Attributes:
        active: Pods that run or will.
        succeeded: Pods that have ended well.
        failed: Pods that have ended badly.
        restarts: How often containers of pods with `restartPolicy: OnFailure` were started again.
        started: When the Job became active; `None` before.
        retry_at: Before this moment no pod may replace a failed one.
    """

    active: int = 0
    succeeded: int = 0
    failed: int = 0
    restarts: int = 0
    started: datetime | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The Job is over.

    Attributes:
        succeeded: How.
        reason: A constant, as in the Job's condition.
        message: For people.
    """

    succeeded: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Running:
    """The Job goes on.

    Attributes:
        active: So many pods shall be active now.
        again: When to decide anew even if nothing happens.
    """

    active: int
    again: datetime | None = None


_BACK_OFF_LIMIT = Ended(
    succeeded=False, reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit"
)
_DEADLINE = Ended(
    succeeded=False, reason="DeadlineExceeded", message="Job was active longer than specified deadline"
)
_COMPLETE = Ended(
    succeeded=True, reason="CompletionsReached", message="Reached expected number of succeeded pods"
)


def decide(rules: JobRules, counts: JobCounts, now: datetime) -> Ended | Running:
    """What a Job needs next."""
    if rules.suspended:
        return Running(0)
    if counts.failed > rules.backoff_limit or counts.restarts > rules.backoff_limit:
        return _BACK_OFF_LIMIT
    over_at = counts.started + rules.deadline if counts.started and rules.deadline else None
    if over_at is not None and over_at <= now:
        return _DEADLINE
    if rules.completions is None:
        enough, wanted = counts.succeeded > 0 and not counts.active, rules.parallelism
        if counts.succeeded:
            wanted = counts.active
    else:
        enough = counts.succeeded >= rules.completions
        wanted = min(rules.parallelism, rules.completions - counts.succeeded)
    if enough:
        return _COMPLETE
    if counts.retry_at is not None and counts.retry_at > now:
        moments = [counts.retry_at] if over_at is None else [counts.retry_at, over_at]
        return Running(min(wanted, counts.active), min(moments))
    return Running(wanted, over_at)
