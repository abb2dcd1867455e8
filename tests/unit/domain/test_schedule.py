from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain import schedule
from orchestrator.domain.schedule import InvalidScheduleError, next_times, resolve, validate_schedule
from orchestrator.domain.team import TeamKey
from tests.strategies import schedules, team_keys, time_zones
from tests.unit.domain import recordings

KEY = TeamKey("extend", "platform-sre")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("step", recordings.steps("cron-schedules"), ids=recordings.note)
def test_takes_schedules_as_the_api_server_does(step: dict):
    text = step["request"]["body"]["spec"]["schedule"]
    # Ours to resolve before the API server sees it.
    is_hashed = text == "H 2 * * *"
    assert (validate_schedule(text) is None) == (recordings.was_taken(step) or is_hashed)
    if recordings.was_taken(step):
        assert resolve(text, KEY) == text


@pytest.mark.parametrize("step", recordings.steps("cron-time-zones"), ids=recordings.note)
def test_takes_time_zones_as_the_api_server_does(step: dict):
    text = step["request"]["body"]["spec"]["timeZone"]
    assert (schedule.validate_time_zone(text) is None) == recordings.was_taken(step)


@pytest.mark.parametrize(
    "text", ["../etc/passwd", "/UTC", "UTC\n", "utc", "Europe", "zone.tab", "a\0b", "LOCAL"]
)
def test_refuses_other_time_zones(text: str):
    assert schedule.validate_time_zone(text)


@pytest.mark.parametrize(
    "text",
    [
        "+5 2 * * *",
        "0 2 * * ,",
        "0 2 * * MON,,FRI",
        "5-5 * * * *",
        "5/60 * * * *",
        "0 2 * jan-DEC/2 *",
        "@every -1h",
        "@every 1.5h",
        "0\u00a02\u20032\x0b* *",
        "*-5-7 * * * *",
    ],
)
def test_takes_what_the_cron_library_of_kubernetes_takes(text: str):
    assert validate_schedule(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "1-2-3 * * * *",
        "1/2/3 * * * *",
        "1--2 * * * *",
        "*/-1 * * * *",
        "*/ * * * *",
        "/5 * * * *",
        "*/0 * * * *",
        "0 2 * * MONDAY",
        "MON 2 * * *",
        " @daily",
        "@daily ",
        "@Daily",
        "@every 1",
        "@every",
        "@every  1h",
        "0 2 * * TZ",
        "1_0 * * * *",
        "\u0661 * * * *",
        "0\x1c2 * * *",
        "9" * 5000 + " * * * *",
        "@every " + "9" * 5000 + "h",
        "h 2 * * *",
        "H-5 2 * * *",
        "H() 2 * * *",
        "H(1) 2 * * *",
        "H(1-2-3) 2 * * *",
        "H(5-1) 2 * * *",
        "H(0-60) 2 * * *",
        "0 2 H(0-5) * *",
        "H/0 2 * * *",
        "H/ 2 * * *",
        "H/x 2 * * *",
        "H/5/5 2 * * *",
        "HH 2 * * *",
        "H 2 * *",
        "@H",
    ],
)
def test_says_what_is_wrong_with_others(text: str):
    assert validate_schedule(text)
    with pytest.raises(InvalidScheduleError):
        resolve(text, KEY)


@given(st.text(alphabet="0123456789*/-,?HLW#()@ \t\nTZabMON", max_size=30) | st.text(max_size=20))
def test_any_text_gets_an_answer(text: str):
    if validate_schedule(text) is None:
        assert validate_schedule(resolve(text, KEY)) is None


@given(schedules(), team_keys())
def test_what_is_resolved_holds_no_hash_and_stays_the_same(text: str, key: TeamKey):
    resolved = resolve(text, key)
    assert resolve(text, key) == resolve(resolved, key) == resolved
    assert validate_schedule(resolved) is None
    assert "H" not in resolved
    if "H" not in text:
        assert resolved == text


def fields(text: str, teams: int = 2000) -> list[list[str]]:
    return [resolve(text, TeamKey("org", f"team-{number}")).split() for number in range(teams)]


@pytest.mark.parametrize(
    ("text", "position", "values"),
    [
        ("H * * * *", 0, range(60)),
        ("H(0-29) * * * *", 0, range(30)),
        ("0 H * * *", 1, range(24)),
        ("0 H(22-23) * * *", 1, range(22, 24)),
        ("0 0 H * *", 2, range(1, 29)),
        ("0 0 1 H *", 3, range(1, 13)),
        ("0 0 * * H", 4, range(7)),
        ("0 0 * * H(MON-FRI)", 4, range(1, 6)),
    ],
)
def test_teams_spread_evenly_over_the_range(text: str, position: int, values: range):
    counts = Counter(int(resolved[position]) for resolved in fields(text))
    assert set(counts) == set(values)
    assert max(counts.values()) < 2 * 2000 / len(values)


@pytest.mark.parametrize(
    ("text", "starts", "rest"),
    [("H/15 * * * *", range(15), "-59/15"), ("H(0-29)/10 * * * *", range(10), "-29/10")],
)
def test_steps_start_at_a_place_of_the_teams_own(text: str, starts: range, rest: str):
    assert {resolved[0] for resolved in fields(text)} == {f"{start}{rest}" for start in starts}


def test_a_step_larger_than_the_range_leaves_one_value():
    assert {resolved[0] for resolved in fields("H/90 * * * *")} == {f"{start}-59/90" for start in range(60)}


def test_fields_are_independent_of_each_other():
    assert len({(minute, hour) for minute, hour, *_ in fields("H H * * *")}) > 1000


def test_the_exact_pair_decides():
    keys = [TeamKey("a-b", "c"), TeamKey("a", "b-c"), TeamKey("A-b", "c"), TeamKey("a", "b-C")]
    assert len({resolve("H H H H *", key) for key in keys}) == len(keys)


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        ("0 2 * * *", "UTC", "2026-01-01T02:00", ["2026-01-02T02:00", "2026-01-03T02:00"]),
        ("0 2 * * *", "Europe/Paris", "2026-07-01T00:00", ["2026-07-02T00:00", "2026-07-03T00:00"]),
        # The clock goes forward: half past two does not exist.
        ("30 2 * * *", "Europe/Paris", "2026-03-28T02:00", ["2026-03-30T00:30", "2026-03-31T00:30"]),
        # The clock goes back: it comes twice.
        ("30 2 * * *", "Europe/Paris", "2026-10-25T00:00", ["2026-10-25T00:30", "2026-10-25T01:30"]),
        ("30 2 * * *", "Europe/Paris", "2026-10-25T00:30", ["2026-10-25T01:30", "2026-10-26T01:30"]),
        # A day of the month or of the week, when neither is left open.
        ("0 0 13 * FRI", "UTC", "2026-02-01T00:00", ["2026-02-06T00:00", "2026-02-13T00:00"]),
        # A step closes a field: every second day, or a Monday.
        ("0 0 */2 * 1", "UTC", "2026-02-01T00:00", ["2026-02-02T00:00", "2026-02-03T00:00"]),
        ("0 0 * * 0", "UTC", "2026-02-01T00:00", ["2026-02-08T00:00", "2026-02-15T00:00"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["2028-02-29T00:00"]),
        ("0 2 31 2 *", "UTC", "2026-01-01T00:00", []),
        ("0 2 * * ,", "UTC", "2026-01-01T00:00", []),
        ("@hourly", "UTC", "2026-01-01T00:30", ["2026-01-01T01:00", "2026-01-01T02:00"]),
        ("@every 1h30m", "UTC", "2026-01-01T00:00", ["2026-01-01T01:30", "2026-01-01T03:00"]),
        ("@every 0s", "UTC", "2026-01-01T00:00", ["2026-01-01T00:00:01", "2026-01-01T00:00:02"]),
    ],
)
def test_next_times_are_those_of_the_cluster(text: str, zone: str, after: str, expected: list[str]):
    assert next_times(text, zone, at(after), 2) == [at(one) for one in expected]


@given(
    schedules(),
    team_keys(),
    time_zones(),
    st.integers(0, 20 * 365 * 24 * 60).map(lambda minutes: at("2020-01-01") + timedelta(minutes=minutes)),
)
def test_next_times_are_ahead_and_in_order(text: str, key: TeamKey, zone: str, after: datetime):
    times = next_times(resolve(text, key), zone, after, 5)
    assert times == sorted(set(times))
    assert all(time > after for time in times)
    if not text.startswith("@every"):
        assert all(time.astimezone(ZoneInfo(zone)).second == 0 for time in times)


def test_a_time_with_another_zone_is_understood():
    paris = datetime(2026, 1, 1, 3, 0, tzinfo=ZoneInfo("Europe/Paris"))
    assert next_times("0 2 * * *", "UTC", paris, 1) == [at("2026-01-02T02:00")]
    assert next_times("0 2 * * *", "UTC", paris - timedelta(minutes=1), 1) == [at("2026-01-01T02:00")]
