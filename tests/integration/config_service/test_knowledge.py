"""What a team's pipeline learns, and where it goes on."""

import pytest

MINE = "/api/v1/config/me/knowledge"
CHECKPOINT = "/api/v1/config/me/checkpoints/slack:C1"


@pytest.fixture
async def team(admin):
    return await admin.as_team("extend", "platform-sre", "runtime")


def entry(entry_id="C1:1700000000.000100", **changes):
    return {
        "id": entry_id,
        "title": "Disk full on db-1",
        "question": "Why does Straße page us at night?",
        "answer": "Log rotation was off; see 100%_of_logs.",
        "source": {"channel": "C1", "channel_name": "incidents", "thread_ts": "1700000000.000100"},
        "learned_from_ts": "1700000000.000200",
        "tags": ["disk", "Postgres"],
        **changes,
    }


async def test_entries_are_stored_by_their_ids(team, clock):
    first = await team.ok("POST", MINE, {"entries": [entry("a"), entry("b")]})
    assert first == {"created": 2, "updated": 0, "unchanged": 0}
    clock.forward(hours=1)
    second = await team.ok("POST", MINE, {"entries": [entry("a"), entry("b", answer="New."), entry("c")]})
    assert second == {"created": 1, "updated": 1, "unchanged": 1}
    items = (await team.ok("GET", MINE))["items"]
    assert [(item["id"], item["version"], item["updated_at"]) for item in items] == [
        ("a", 1, "2026-01-02T03:04:05Z"),
        ("b", 2, "2026-01-02T04:04:05Z"),
        ("c", 1, "2026-01-02T04:04:05Z"),
    ]
    assert items[1]["answer"] == "New."
    assert items[0]["source"] == {**entry()["source"], "url": None}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("disk", True),
        ("DISK postgres", True),
        ("STRASSE", True),
        ("100%_of", True),
        ("100_of", False),
        ("disk unicorn", False),
        ("%", True),
        ("\\", False),
        ("   ", True),
    ],
)
async def test_every_word_must_occur_whatever_its_case(team, query, found):
    await team.ok("POST", MINE, {"entries": [entry()]})
    page = await team.ok("GET", MINE, params={"q": query})
    assert bool(page["items"]) is found


async def test_knowledge_comes_in_pages(team):
    names = [f"entry-{number}" for number in range(5)]
    await team.ok("POST", MINE, {"entries": [entry(name) for name in names]})
    seen, params = [], {"limit": 2}
    while True:
        page = await team.ok("GET", MINE, params=params)
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert seen == names


async def test_an_entry_is_forgotten(team):
    odd = "C1/thread:1 é"
    await team.ok("POST", MINE, {"entries": [entry(odd)]})
    for _ in range(2):
        assert (await team("DELETE", f"{MINE}/C1/thread:1%20%C3%A9")).status_code == 204
    assert (await team.ok("GET", MINE))["items"] == []


async def test_a_team_sees_its_own_only_and_its_admins_see_it_too(admin, team):
    await team.ok("POST", MINE, {"entries": [entry("a")]})
    neighbour = await admin.as_team("extend", "other")
    await neighbour.ok("POST", MINE, {"entries": [entry("a", answer="Another.")]})
    assert (await team.ok("GET", MINE))["items"][0]["answer"] != "Another."
    await neighbour.ok("DELETE", f"{MINE}/a")
    path = "/api/v1/admin/orgs/extend/teams/{}/knowledge"
    org_admin = await admin.as_org_admin("extend")
    assert len((await org_admin.ok("GET", path.format("platform-sre")))["items"]) == 1
    assert (await admin.ok("GET", path.format("other")))["items"] == []
    assert (await admin("GET", path.format("nobody"))).status_code == 404


async def test_wrong_entries_are_refused_with_their_place(team):
    for wrong, field in (
        ({"entries": [entry(), entry("x" * 129)]}, "entries[1].id"),
        ({"entries": [entry("")]}, "entries[0].id"),
        ({"entries": [entry(source={"channel": "C1"})]}, "entries[0].source.thread_ts"),
        ({"entries": [entry(colour="red")]}, "entries[0].colour"),
        ({"entries": [entry("a"), entry("a")]}, "entries"),
        ({"entries": [entry(title="a\x00b")]}, "body"),
        ({"entries": [entry(title=5)]}, "entries[0].title"),
        ({"entries": [{}] * 501}, "entries"),
        ({}, "entries"),
    ):
        response = await team("POST", MINE, wrong)
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == field


async def test_questions_that_cannot_be_asked_are_refused(team):
    for query in (
        "q=%00",
        "cursor=%00",
        "cursor=!",
        "cursor=AA",
        "cursor=_w",
        "limit=0",
        "limit=501",
        "limit=x",
    ):
        assert (await team("GET", f"{MINE}?{query}")).status_code == 422, query
    assert (await team("DELETE", f"{MINE}/%00")).status_code == 422


async def test_a_checkpoint_is_what_was_written_last(team, clock):
    assert (await team("GET", CHECKPOINT)).status_code == 404
    written = await team.ok("PUT", CHECKPOINT, {"value": {"ts": "1"}})
    assert written == {"name": "slack:C1", "value": {"ts": "1"}, "updated_at": "2026-01-02T03:04:05Z"}
    clock.forward(minutes=1)
    await team.ok("PUT", CHECKPOINT, {"value": {"ts": "2", "more": [1, None]}})
    assert await team.ok("GET", CHECKPOINT) == {
        "name": "slack:C1",
        "value": {"ts": "2", "more": [1, None]},
        "updated_at": "2026-01-02T03:05:05Z",
    }


async def test_a_checkpoint_is_the_teams_own(admin, team):
    await team.ok("PUT", CHECKPOINT, {"value": {}})
    neighbour = await admin.as_team("extend", "other")
    assert (await neighbour("GET", CHECKPOINT)).status_code == 404


async def test_wrong_checkpoints_are_refused(team):
    for body in ({}, {"value": []}, {"value": {}, "colour": "red"}, {"value": {"a": "x" * 300_000}}):
        assert (await team("PUT", CHECKPOINT, body)).status_code in {413, 422}
    assert (await team("PUT", "/api/v1/config/me/checkpoints/a%20b", {"value": {}})).status_code == 422
