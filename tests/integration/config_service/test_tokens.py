"""The life of a token, and what it opens."""

import asyncio

import pytest

from config_service.domain.tokens import new_org_admin_token, new_team_token

ORG = "/api/v1/admin/orgs/extend"
TOKENS = f"{ORG}/teams/platform-sre/tokens"
ADMINS = f"{ORG}/admin-tokens"
INTERNAL = "/api/v1/internal/teams/extend/platform-sre/tokens"


@pytest.fixture
async def team(admin):
    await admin.put_team("extend", "platform-sre")
    return admin


async def test_a_token_is_shown_once(team):
    response = await team("POST", TOKENS, {"label": "laptop"})
    assert response.status_code == 201
    made = response.json()
    assert set(made) == {"id", "token", "prefix", "purpose", "created_at", "expires_at"}
    assert made["token"].startswith(f"extend.platform-sre.ifx_{made['prefix']}_")
    assert (made["purpose"], made["expires_at"]) == (None, None)
    (listed,) = (await team.ok("GET", TOKENS))["items"]
    assert listed == {
        "id": made["id"],
        "prefix": made["prefix"],
        "label": "laptop",
        "purpose": None,
        "created_at": made["created_at"],
        "last_used_at": None,
        "expires_at": None,
        "revoked_at": None,
    }


async def test_me_tells_whose_token_it_is(team):
    assert await team.ok("GET", "/api/v1/auth/me") == {
        "kind": "admin",
        "org_id": None,
        "team_node_id": None,
        "token_id": None,
        "purpose": None,
        "scopes": ["*"],
    }
    made = await team.ok("POST", TOKENS, {})
    assert await team.bearing(made["token"]).ok("GET", "/api/v1/auth/me") == {
        "kind": "team",
        "org_id": "extend",
        "team_node_id": "platform-sre",
        "token_id": made["id"],
        "purpose": None,
        "scopes": ["config:write", "config:read", "knowledge:read", "knowledge:write"],
    }
    made = await team.ok("POST", ADMINS, {})
    assert made["token"].startswith("extend.ifxo_")
    me = await team.bearing(made["token"]).ok("GET", "/api/v1/auth/me")
    assert (me["kind"], me["org_id"], me["team_node_id"], me["token_id"]) == (
        "org_admin",
        "extend",
        None,
        made["id"],
    )


async def test_ids_with_dots_keep_their_teams_apart(admin):
    await admin.put_team("a.b", "c")
    await admin.put_team("a", "b.c")
    first = await admin.ok("POST", "/api/v1/admin/orgs/a.b/teams/c/tokens", {})
    second = await admin.ok("POST", "/api/v1/admin/orgs/a/teams/b.c/tokens", {})
    me = await admin.bearing(first["token"]).ok("GET", "/api/v1/auth/me")
    assert (me["org_id"], me["team_node_id"]) == ("a.b", "c")
    me = await admin.bearing(second["token"]).ok("GET", "/api/v1/auth/me")
    assert (me["org_id"], me["team_node_id"]) == ("a", "b.c")


async def test_the_text_around_the_secret_is_not_believed(team):
    token = await team.team_token("extend", "platform-sre")
    await team.put_team("evil", "platform-sre")
    for forged in (
        token.replace("extend", "evil"),
        token.partition(".")[2],
        token.rpartition(".")[2],
        token + "0",
        new_team_token("extend", "platform-sre").text,
        new_org_admin_token("extend").text,
    ):
        assert (await team.bearing(forged)("GET", "/api/v1/auth/me")).status_code == 401


async def test_a_revoked_token_opens_nothing_from_then_on(team):
    made = await team.ok("POST", TOKENS, {})
    holder = team.bearing(made["token"])
    await holder.ok("GET", "/api/v1/config/me/effective")
    for _ in range(2):
        assert (await team("DELETE", f"{TOKENS}/{made['id']}")).status_code == 204
    assert (await holder("GET", "/api/v1/config/me/effective")).status_code == 401
    (listed,) = (await team.ok("GET", TOKENS))["items"]
    assert listed["revoked_at"] is not None
    assert (await team("DELETE", f"{TOKENS}/unknown")).status_code == 204


async def test_another_teams_admin_path_does_not_revoke_it(team):
    await team.put_team("acme", "other")
    made = await team.ok("POST", TOKENS, {})
    path = f"/api/v1/admin/orgs/acme/teams/other/tokens/{made['id']}"
    assert (await team("DELETE", path)).status_code == 204
    await team.bearing(made["token"]).ok("GET", "/api/v1/auth/me")


async def test_a_token_expires(team, clock):
    made = await team.ok("POST", TOKENS, {"expires_in": 3600})
    assert made["expires_at"] == "2026-01-02T04:04:05Z"
    holder = team.bearing(made["token"])
    clock.forward(seconds=3599)
    await holder.ok("GET", "/api/v1/auth/me")
    clock.forward(seconds=1)
    assert (await holder("GET", "/api/v1/auth/me")).status_code == 401


async def test_an_expired_token_is_not_live(team, clock):
    await team.ok("POST", INTERNAL, {"purpose": "runtime", "expires_in": 60})
    path = "/api/v1/internal/teams/extend/platform-sre"
    assert len((await team.ok("GET", path))["tokens"]) == 1
    clock.forward(minutes=2)
    assert (await team.ok("GET", path))["tokens"] == []
    renewed = await team.ok("POST", INTERNAL, {"purpose": "runtime", "expires_in": 60})
    assert [token["id"] for token in (await team.ok("GET", path))["tokens"]] == [renewed["id"]]


async def test_last_use_is_remembered_to_the_minute(team, clock):
    made = await team.ok("POST", TOKENS, {})
    holder = team.bearing(made["token"])

    async def last_used():
        return (await team.ok("GET", TOKENS))["items"][0]["last_used_at"]

    await holder.ok("GET", "/api/v1/auth/me")
    assert await last_used() == "2026-01-02T03:04:05Z"
    clock.forward(seconds=59)
    await holder.ok("GET", "/api/v1/auth/me")
    assert await last_used() == "2026-01-02T03:04:05Z"
    clock.forward(seconds=1)
    await holder.ok("GET", "/api/v1/auth/me")
    assert await last_used() == "2026-01-02T03:05:05Z"


async def test_of_many_minted_at_once_one_lives(team):
    minted = await asyncio.gather(*(team.ok("POST", INTERNAL, {"purpose": "runtime"}) for _ in range(8)))
    live = (await team.ok("GET", "/api/v1/internal/teams/extend/platform-sre"))["tokens"]
    assert len(live) == 1
    holders = [team.bearing(token["token"]) for token in minted]
    answers = await asyncio.gather(*(holder("GET", "/api/v1/auth/me") for holder in holders))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


async def test_purposes_and_tokens_by_hand_do_not_touch_each_other(team):
    by_hand = [await team.ok("POST", TOKENS, {}) for _ in range(2)]
    await team.ok("POST", INTERNAL, {"purpose": "runtime"})
    await team.ok("POST", INTERNAL, {"purpose": "team"})
    await team.ok("POST", INTERNAL, {"purpose": "team"})
    live = (await team.ok("GET", "/api/v1/internal/teams/extend/platform-sre"))["tokens"]
    assert [token["purpose"] for token in live] == [None, None, "runtime", "team"]
    assert [token["id"] for token in live[:2]] == [token["id"] for token in by_hand]


async def test_lists_of_tokens_come_in_pages(team):
    made = [(await team.ok("POST", TOKENS, {}))["id"] for _ in range(3)]
    first = await team.ok("GET", f"{TOKENS}?limit=2")
    rest = await team.ok("GET", f"{TOKENS}?limit=2&cursor={first['next_cursor']}")
    assert [item["id"] for item in first["items"] + rest["items"]] == made
    assert rest["next_cursor"] is None


async def test_an_org_admins_token_is_listed_and_revoked(team):
    made = await team.ok("POST", ADMINS, {"label": "Ada"})
    holder = team.bearing(made["token"])
    await holder.ok("GET", f"{ORG}/nodes")
    (listed,) = (await team.ok("GET", ADMINS))["items"]
    assert (listed["id"], listed["label"]) == (made["id"], "Ada")
    for _ in range(2):
        assert (await team("DELETE", f"{ADMINS}/{made['id']}")).status_code == 204
    assert (await holder("GET", f"{ORG}/nodes")).status_code == 401


async def test_nobody_is_not_found(team):
    for path in (
        f"{ORG}/teams/nobody/tokens",
        "/api/v1/admin/orgs/nobody/teams/platform-sre/tokens",
        "/api/v1/admin/orgs/nobody/admin-tokens",
    ):
        assert (await team("GET", path)).status_code == 404
        assert (await team("POST", path, {})).status_code == 404
    response = await team("POST", "/api/v1/internal/teams/extend/nobody/tokens", {"purpose": "team"})
    assert response.status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": -1}, "expires_in"),
        ({"expires_in": 2**62}, "expires_in"),
        ({"expires_in": "60"}, "expires_in"),
        ({"expires_in": True}, "expires_in"),
        ({"label": "x" * 201}, "label"),
        ({"purpose": "team"}, "purpose"),
    ],
)
async def test_a_wrong_field_is_named(team, body, field):
    response = await team("POST", TOKENS, body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field
