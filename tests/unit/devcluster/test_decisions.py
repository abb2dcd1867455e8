"""What the controllers decide, without a cluster."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.controllers.deployments import template_hash
from devcluster.controllers.rollout import Bounds, Replicas, bounds, new_replicas, old_replicas, resolve
from devcluster.controllers.schedules import Schedule
from devcluster.controllers.verdicts import Ended, JobCounts, JobRules, Running, decide
from devcluster.proxy import Address, parse_address

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "up", "expected"),
    [(3, True, 3), ("25%", True, 2), ("25%", False, 1), ("0%", True, 0), ("100%", False, 5)],
)
def test_a_share_is_rounded_in_the_direction_of_its_use(value: int | str, up: bool, expected: int) -> None:
    assert resolve(value, 5, round_up=up) == expected


def test_bounds_always_leave_room_to_move() -> None:
    assert bounds(1, "0%", "25%") == Bounds(desired=1, max_surge=0, max_unavailable=1)
    assert bounds(4, "25%", "25%") == Bounds(desired=4, max_surge=1, max_unavailable=1)


@pytest.mark.parametrize(
    ("limits", "new", "old", "expected"),
    [
        # The first step makes as many new pods as the surge allows.
        (Bounds(desired=2, max_surge=1, max_unavailable=0), Replicas(0, 0), [Replicas(2, 2)], (1, [2])),
        # A new pod that serves lets an old one go.
        (Bounds(desired=2, max_surge=1, max_unavailable=0), Replicas(1, 1), [Replicas(2, 2)], (1, [1])),
        # A new pod that does not serve lets nobody go.
        (Bounds(desired=2, max_surge=1, max_unavailable=0), Replicas(1, 0), [Replicas(2, 2)], (1, [2])),
        # Without surge an old pod goes first.
        (Bounds(desired=2, max_surge=0, max_unavailable=1), Replicas(0, 0), [Replicas(2, 2)], (0, [1])),
        # What never served goes before what serves.
        (
            Bounds(desired=1, max_surge=1, max_unavailable=0),
            Replicas(0, 0),
            [Replicas(1, 1), Replicas(1, 0)],
            (0, [1, 0]),
        ),
        # Fewer are wanted than there are.
        (Bounds(desired=1, max_surge=1, max_unavailable=0), Replicas(3, 3), [], (1, [])),
        (Bounds(desired=3, max_surge=1, max_unavailable=0), Replicas(1, 1), [], (3, [])),
    ],
)
def test_one_step_of_a_roll_out(
    limits: Bounds, new: Replicas, old: list[Replicas], expected: tuple[int, list[int]]
) -> None:
    assert (new_replicas(limits, new, old), old_replicas(limits, new, old)) == expected


@given(
    desired=st.integers(1, 12),
    surge=st.integers(0, 4),
    unavailable=st.integers(0, 4),
    before=st.integers(0, 12),
)
def test_a_roll_out_arrives_and_never_leaves_its_bounds(
    desired: int, surge: int, unavailable: int, before: int
) -> None:
    limits = bounds(desired, surge, unavailable)
    new, old = Replicas(0, 0), [Replicas(before, before)]
    for _ in range(100):
        wanted = new_replicas(limits, new, old)
        remaining = old_replicas(limits, Replicas(wanted, new.available), old)
        available = new.available + sum(
            min(each, was.available) for each, was in zip(remaining, old, strict=True)
        )
        least = min(desired - limits.max_unavailable, before + new.available)
        assert available >= min(least, sum(each.available for each in [new, *old]))
        assert wanted + sum(remaining) <= max(desired + limits.max_surge, before)
        # Everything that was started serves before the next step.
        new, old = Replicas(wanted, wanted), [Replicas(each, each) for each in remaining]
    assert (new.wanted, [each.wanted for each in old]) == (desired, [0])


def test_equal_templates_have_equal_names() -> None:
    one = {"spec": {"a": 1, "b": 2}, "metadata": {}}
    other = {"metadata": {}, "spec": {"b": 2, "a": 1}}
    assert template_hash(one) == template_hash(other)
    assert template_hash(one) != template_hash({**one, "metadata": {"labels": {"x": "y"}}})


RULES = JobRules(completions=3, parallelism=2, backoff_limit=1, deadline=timedelta(minutes=5))


@pytest.mark.parametrize(
    ("rules", "counts", "expected"),
    [
        ({}, {}, Running(2)),
        ({}, {"succeeded": 2, "active": 1}, Running(1)),
        ({}, {"succeeded": 3}, "CompletionsReached"),
        ({}, {"failed": 1, "retry_at": NOW + timedelta(seconds=2)}, Running(0, NOW + timedelta(seconds=2))),
        ({}, {"failed": 1, "retry_at": NOW - timedelta(seconds=2)}, Running(2)),
        ({}, {"failed": 2}, "BackoffLimitExceeded"),
        ({}, {"restarts": 2}, "BackoffLimitExceeded"),
        ({}, {"started": NOW - timedelta(minutes=1)}, Running(2, NOW + timedelta(minutes=4))),
        ({}, {"started": NOW - timedelta(minutes=5)}, "DeadlineExceeded"),
        ({"suspended": True}, {"active": 2}, Running(0)),
        ({"completions": None}, {"active": 2}, Running(2)),
        ({"completions": None}, {"active": 1, "succeeded": 1}, Running(1)),
        ({"completions": None}, {"succeeded": 1}, "CompletionsReached"),
        ({"completions": 0}, {}, "CompletionsReached"),
    ],
)
def test_what_a_job_needs_next(
    rules: dict[str, Any], counts: dict[str, Any], expected: Running | str
) -> None:
    verdict = decide(replace(RULES, **rules), JobCounts(**counts), NOW)
    assert (verdict.reason if isinstance(verdict, Ended) else verdict) == expected


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "expected"),
    [
        ("0 2 * * *", None, "2026-03-01T02:00:00", "2026-03-02T02:00:00"),
        ("*/15 * * * *", "UTC", "2026-03-01T02:01:00", "2026-03-01T02:15:00"),
        ("@hourly", "UTC", "2026-03-01T02:01:00", "2026-03-01T03:00:00"),
        ("@weekly", "UTC", "2026-03-02T00:00:00", "2026-03-08T00:00:00"),
        ("0 0 * * 0", "UTC", "2026-03-02T00:00:00", "2026-03-08T00:00:00"),
        ("0 2 ? * MON", "UTC", "2026-03-03T00:00:00", "2026-03-09T02:00:00"),
        # A day of the month or a day of the week, when both are restricted; a stepped star is a restriction.
        ("0 0 13 * FRI", "UTC", "2026-03-01T00:00:00", "2026-03-06T00:00:00"),
        ("0 0 */20 * MON", "UTC", "2026-03-01T00:00:00", "2026-03-02T00:00:00"),
        ("0 2 * * 1,", "UTC", "2026-03-03T00:00:00", "2026-03-09T02:00:00"),
        ("50/5 * * * *", "UTC", "2026-03-01T00:00:00", "2026-03-01T00:50:00"),
        ("*-5 * * * *", "UTC", "2026-03-01T00:07:00", "2026-03-01T00:08:00"),
        ("@every 1h30m", "UTC", "2026-03-01T00:00:10", "2026-03-01T01:30:10"),
        ("@every 0s", "UTC", "2026-03-01T00:00:10", "2026-03-01T00:00:11"),
        ("0 2 * * *", "Europe/Paris", "2026-03-01T00:00:00", "2026-03-01T01:00:00"),
        # Daylight saving: 02:30 does not exist on 29 March, and comes twice on 25 October.
        ("30 2 * * *", "Europe/Paris", "2026-03-28T12:00:00", "2026-03-30T00:30:00"),
        ("30 2 * * *", "Europe/Paris", "2026-10-24T12:00:00", "2026-10-25T00:30:00"),
        ("30 2 * * *", "Europe/Paris", "2026-10-25T00:30:00", "2026-10-25T01:30:00"),
        ("0 2 31 2 *", "UTC", "2026-03-01T00:00:00", None),
    ],
)
def test_when_a_schedule_is_due_next(
    schedule: str, zone: str | None, after: str, expected: str | None
) -> None:
    due = Schedule.parse(schedule, zone).first_after(at(after))
    assert due == (None if expected is None else at(expected))


@pytest.mark.parametrize(
    ("schedule", "until", "since", "expected"),
    [
        ("0 * * * *", "2026-03-01T05:30:00", "2026-03-01T00:00:00", "2026-03-01T05:00:00"),
        ("0 * * * *", "2026-03-01T05:00:00", "2026-03-01T04:00:00", "2026-03-01T05:00:00"),
        ("0 * * * *", "2026-03-01T05:30:00", "2026-03-01T05:00:00", None),
        ("@every 10m", "2026-03-01T05:35:00", "2026-03-01T05:01:00", "2026-03-01T05:31:00"),
        ("@every 10m", "2026-03-01T05:05:00", "2026-03-01T05:01:00", None),
    ],
)
def test_the_last_moment_that_a_schedule_was_due(
    schedule: str, until: str, since: str, expected: str | None
) -> None:
    due = Schedule.parse(schedule, "UTC").last_until(at(until), at(since))
    assert due == (None if expected is None else at(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", Address("http", "web", "")),
        ("web:8000", Address("http", "web", "8000")),
        ("https:web:tls", Address("https", "web", "tls")),
        (":web:8000", Address("http", "web", "8000")),
        ("http:web:", Address("http", "web", "")),
    ],
)
def test_an_address_in_a_proxy_path(text: str, expected: Address) -> None:
    assert parse_address(text) == expected
