"""Many at once, from several processes: a channel has one team, and nothing is lost or made twice."""

import asyncio
from collections import Counter

import asyncpg
import pytest
from sqlalchemy import text


@pytest.fixture
def programs(another_program):
    return [another_program(), another_program()]


async def put(api, team, *channels):
    body = {"slack_channel_ids": list(channels), "mode": "shared", "dedicated_service_url": None}
    return await api("PUT", f"/api/v1/internal/teams/extend/{team}", body)


async def owner(api, channel):
    found = await api.ok("POST", "/api/v1/internal/channels/owners", {"slack_channel_ids": [channel]})
    return found["owners"].get(channel, {}).get("team_node_id")


async def test_of_many_teams_that_want_a_channel_one_gets_it(programs):
    for channel in ("C1", "C2", "C3"):
        answers = await asyncio.gather(
            *(put(programs[n % 2], f"{channel}-team-{n}", channel) for n in range(8))
        )
        counted = Counter(answer.status_code for answer in answers)
        assert counted == {201: 1, 409: 7}
        (winner,) = [n for n, answer in enumerate(answers) if answer.status_code == 201]
        assert await owner(programs[0], channel) == f"{channel}-team-{winner}"
        for n, answer in enumerate(answers):
            if n != winner:
                assert answer.json()["owner"]["team_node_id"] == f"{channel}-team-{winner}"


async def test_teams_that_swap_their_channels_never_block_each_other(programs):
    await put(programs[0], "a", "C1")
    await put(programs[1], "b", "C2")
    for _ in range(10):
        answers = await asyncio.gather(put(programs[0], "a", "C2"), put(programs[1], "b", "C1"))
        assert {answer.status_code for answer in answers} <= {200, 409}
        await put(programs[0], "a")
        await put(programs[1], "b")
        restored = await asyncio.gather(put(programs[0], "a", "C1"), put(programs[1], "b", "C2"))
        assert {answer.status_code for answer in restored} == {200}


async def test_overlapping_sets_in_any_order_end_with_one_owner_each(programs):
    channels = [f"C{number}" for number in range(10, 30)]
    answers = await asyncio.gather(
        put(programs[0], "a", *channels),
        put(programs[1], "b", *reversed(channels)),
        put(programs[0], "c", *channels[5:], *channels[:5]),
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert len({await owner(programs[0], channel) for channel in channels}) == 1


async def test_one_team_put_by_many_is_made_once(programs):
    answers = await asyncio.gather(*(put(programs[n % 2], "sre", "C1") for n in range(8)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 7}
    assert sum(answer.json()["created_org"] for answer in answers) == 1
    assert {answer.json()["version"] for answer in answers} == {1}


async def test_a_team_that_is_put_and_deleted_at_once_is_whole_or_gone(programs):
    path = "/api/v1/internal/teams/extend/sre"
    for _ in range(10):
        answers = await asyncio.gather(
            put(programs[0], "sre", "C1"),
            programs[1]("DELETE", path),
            programs[0]("POST", f"{path}/tokens", {"purpose": "runtime"}),
            programs[1]("DELETE", f"{path}/tokens"),
            programs[0]("DELETE", f"{path}/routing"),
        )
        assert all(answer.status_code < 500 for answer in answers), [answer.text for answer in answers]
        there = (await programs[0]("GET", path)).status_code == 200
        assert there or await owner(programs[0], "C1") is None


async def test_a_reader_never_waits_for_a_writer(programs, database):
    await put(programs[0], "sre", "C1")
    async with database.unit_of_work() as connection:
        await connection.execute(text("DELETE FROM config_channels"))
        assert await owner(programs[0], "C1") == "sre"
        writing = asyncio.create_task(put(programs[1], "other", "C1"))
        for _ in range(20):
            assert await owner(programs[0], "C1") == "sre"
        assert not writing.done()
    assert (await writing).status_code == 201


async def test_a_revocation_holds_in_every_program_at_once(programs):
    await put(programs[0], "sre")
    token = await programs[0].team_token("extend", "sre")
    elsewhere = programs[1].bearing(token)
    await elsewhere.ok("GET", "/api/v1/auth/me")
    await programs[0].ok("DELETE", "/api/v1/internal/teams/extend/sre/tokens")
    assert (await elsewhere("GET", "/api/v1/auth/me")).status_code == 401


async def test_connections_that_broke_while_idle_are_replaced(programs, database_url):
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite has no connections that break")
    await put(programs[0], "sre", "C1")
    assert await owner(programs[0], "C1") == "sre"
    operator = await asyncpg.connect(database_url)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    for use in (lambda: owner(programs[0], "C1"), lambda: put(programs[0], "sre", "C1", "C2")):
        await operator.execute(f"{others} AND pid <> pg_backend_pid()")
        assert await use()
    await operator.close()
    assert await owner(programs[0], "C2") == "sre"
