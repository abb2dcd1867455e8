"""What the control plane does to a team: every call converges, and can be repeated."""

import pytest

TEAM = "/api/v1/internal/teams/extend/platform-sre"
URL = "http://agent-dedicated-extend-platform-sre.incidentfox.svc.cluster.local:8000"


async def look_up(admin, channel):
    return await admin.ok("POST", "/api/v1/internal/routing/lookup", {"slack_channel_id": channel})


async def test_a_new_team_comes_with_its_organisation(admin):
    body = {"slack_channel_ids": ["C1"], "mode": "shared", "dedicated_service_url": None}
    response = await admin("PUT", TEAM, body)
    assert response.status_code == 201
    assert response.json() == {
        "created_org": True,
        "created_team": True,
        "changed": True,
        "version": 1,
        "config": {"agent": {"mode": "shared"}, "routing": {"slack_channel_ids": ["C1"]}},
        "tokens": [],
        "minted": None,
    }


async def test_a_team_is_put_and_its_token_minted_in_one_call(admin):
    body = {"slack_channel_ids": ["C1"], "mode": "shared", "dedicated_service_url": None, "mint": "runtime"}
    first = (await admin("PUT", TEAM, body)).json()["minted"]
    second = (await admin("PUT", TEAM, body)).json()
    me = await admin.bearing(second["minted"]["token"]).ok("GET", "/api/v1/auth/me")
    assert me["purpose"] == "runtime"
    assert [token["id"] for token in second["tokens"]] == [second["minted"]["id"]]
    assert (await admin.bearing(first["token"])("GET", "/api/v1/auth/me")).status_code == 401


async def test_putting_the_same_again_changes_nothing(admin):
    await admin.put_team("extend", "platform-sre", "C1")
    body = {"slack_channel_ids": ["C1"], "mode": "shared", "dedicated_service_url": None}
    response = await admin("PUT", TEAM, body)
    assert response.status_code == 200
    again = response.json()
    assert (again["created_org"], again["created_team"], again["changed"], again["version"]) == (
        False,
        False,
        False,
        1,
    )


async def test_only_the_three_keys_are_touched(admin):
    team = await admin.as_team("extend", "platform-sre")
    await team.ok("PATCH", "/api/v1/config/me", {"agent": {"model": "big"}, "tone": "dry"})
    put = await admin.put_team("extend", "platform-sre", "C1", mode="dedicated", url=URL)
    assert put["config"] == {
        "agent": {"model": "big", "mode": "dedicated", "dedicated_service_url": URL},
        "tone": "dry",
        "routing": {"slack_channel_ids": ["C1"]},
    }
    assert put["version"] == 3
    cleared = await admin.put_team("extend", "platform-sre")
    assert cleared["config"] == {"agent": {"model": "big", "mode": "shared"}, "tone": "dry"}


async def test_a_channel_of_another_team_is_refused_and_nothing_changes(admin):
    await admin.put_team("acme", "first", "C1", "C2")
    body = {"slack_channel_ids": ["C9", "C2"], "mode": "shared", "dedicated_service_url": None}
    response = await admin("PUT", TEAM, body)
    assert response.status_code == 409
    problem = response.json()
    assert problem["type"].endswith("slack_channel_already_mapped")
    assert "C2" in problem["detail"]
    assert "acme/first" in problem["detail"]
    assert problem["channel"] == "C2"
    assert problem["owner"] == {"org_id": "acme", "team_node_id": "first"}
    assert problem["errors"][0]["field"] == "slack_channel_ids"
    assert (await admin("GET", TEAM)).status_code == 404
    assert (await admin("GET", "/api/v1/admin/orgs/extend/nodes")).status_code == 404
    assert await look_up(admin, "C9") == {"found": False}


async def test_lookup_follows_the_mode(admin):
    await admin.put_team("extend", "platform-sre", "C1")
    shared = await look_up(admin, "C1")
    assert shared == {
        "found": True,
        "org_id": "extend",
        "team_node_id": "platform-sre",
        "deployment_mode": "shared",
        "agent_url": "http://agent-shared.incidentfox.svc.cluster.local:8000",
        "suspended": False,
    }
    await admin.put_team("extend", "platform-sre", "C1", mode="dedicated")
    waiting = await look_up(admin, "C1")
    assert (waiting["deployment_mode"], waiting["agent_url"]) == ("dedicated", shared["agent_url"])
    await admin.put_team("extend", "platform-sre", "C1", mode="dedicated", url=URL)
    assert (await look_up(admin, "C1"))["agent_url"] == URL


async def test_a_runtime_token_is_replaced_not_added(admin):
    await admin.put_team("extend", "platform-sre")
    first = await admin.team_token("extend", "platform-sre", "runtime")
    second = await admin.team_token("extend", "platform-sre", "runtime")
    assert (await admin.bearing(first)("GET", "/api/v1/auth/me")).status_code == 401
    me = await admin.bearing(second).ok("GET", "/api/v1/auth/me")
    assert (me["kind"], me["org_id"], me["team_node_id"], me["purpose"]) == (
        "team",
        "extend",
        "platform-sre",
        "runtime",
    )
    live = (await admin.ok("GET", TEAM))["tokens"]
    assert [token["purpose"] for token in live] == ["runtime"]
    assert live[0]["id"] == me["token_id"]


async def test_unrouting_frees_channels_and_keeps_the_rest(admin):
    await admin.put_team("extend", "platform-sre", "C1", mode="dedicated", url=URL)
    team = admin.bearing(await admin.team_token("extend", "platform-sre"))
    await team.ok("PATCH", "/api/v1/config/me", {"tone": "dry"})
    assert await admin.ok("DELETE", TEAM + "/routing") == {"found": True, "changed": True}
    assert await admin.ok("DELETE", TEAM + "/routing") == {"found": True, "changed": False}
    assert (await admin.ok("GET", TEAM))["config"] == {"agent": {"mode": "shared"}, "tone": "dry"}
    assert await look_up(admin, "C1") == {"found": False}
    await admin.put_team("acme", "other", "C1")


async def test_unrouting_an_unknown_team_is_no_error(admin):
    assert await admin.ok("DELETE", TEAM + "/routing") == {"found": False, "changed": False}


async def test_revoking_counts_every_token_of_the_team(admin):
    await admin.put_team("extend", "platform-sre")
    await admin.team_token("extend", "platform-sre", "runtime")
    await admin.team_token("extend", "platform-sre", "team")
    await admin.ok("POST", "/api/v1/admin/orgs/extend/teams/platform-sre/tokens", {"label": "by hand"})
    assert await admin.ok("DELETE", TEAM + "/tokens?purpose=runtime") == {"revoked": 1}
    assert await admin.ok("DELETE", TEAM + "/tokens") == {"revoked": 2}
    assert await admin.ok("DELETE", TEAM + "/tokens") == {"revoked": 0}
    assert await admin.ok("DELETE", "/api/v1/internal/teams/extend/nobody/tokens") == {"revoked": 0}


async def test_deleting_a_team_takes_everything_with_it(admin):
    team = await admin.as_team("extend", "platform-sre")
    await admin.put_team("extend", "platform-sre", "C1")
    await team.ok("PUT", "/api/v1/config/me/checkpoints/slack", {"value": {"ts": "1"}})
    assert await admin.ok("DELETE", TEAM) == {"found": True}
    assert await admin.ok("DELETE", TEAM) == {"found": False}
    assert (await admin("GET", TEAM)).status_code == 404
    assert (await team("GET", "/api/v1/auth/me")).status_code == 401
    assert await look_up(admin, "C1") == {"found": False}
    team = await admin.as_team("extend", "platform-sre")
    assert (await team("GET", "/api/v1/config/me/checkpoints/slack")).status_code == 404


async def test_owners_names_those_that_are_mapped(admin):
    await admin.put_team("extend", "platform-sre", "C1", "C2")
    owners = await admin.ok("POST", "/api/v1/internal/channels/owners", {"slack_channel_ids": ["C1", "C3"]})
    mapped = {"C1": {"org_id": "extend", "team_node_id": "platform-sre"}}
    assert owners == {"owners": mapped, "team_exists": None}


@pytest.mark.parametrize(("team", "exists"), [("platform-sre", True), ("another", False)])
async def test_owners_says_whether_a_team_is_known(admin, team, exists):
    await admin.put_team("extend", "platform-sre", "C1")
    body = {"slack_channel_ids": [], "team": {"org_id": "extend", "team_node_id": team}}
    assert await admin.ok("POST", "/api/v1/internal/channels/owners", body) == {
        "owners": {},
        "team_exists": exists,
    }


async def test_an_address_of_another_shape_is_refused(admin):
    for url in (
        "http://evil.example:8000",
        "https://agent-dedicated-x.incidentfox.svc.cluster.local:8000",
        "http://agent-dedicated-x.incidentfox.svc.cluster.local:8000/",
        "http://agent-dedicated-x.incidentfox.svc.cluster.local:8000\n",
        "http://agent-dedicated-x.incidentfox.svc.cluster.local:9000",
        "http://agent-dedicated-x.evil.svc.cluster.local:8000",
        "http://agent-dedicated-x.evil.incidentfox.svc.cluster.local:8000",
        "http://x@agent-dedicated-x.incidentfox.svc.cluster.local:8000",
    ):
        body = {"slack_channel_ids": [], "mode": "dedicated", "dedicated_service_url": url}
        response = await admin("PUT", TEAM, body)
        assert response.status_code == 422, url
        assert response.json()["errors"][0]["field"] == "dedicated_service_url"


async def test_each_of_the_three_is_required_and_no_other_is_known(admin):
    body = {"slack_channel_ids": [], "mode": "shared", "dedicated_service_url": None}
    for field in body:
        response = await admin("PUT", TEAM, {key: body[key] for key in body if key != field})
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == field
    response = await admin("PUT", TEAM, {**body, "colour": "red"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "colour"


async def test_a_unit_is_not_a_team(admin):
    await admin.ok("POST", "/api/v1/admin/orgs/extend/nodes", {"id": "platform-sre", "type": "unit"})
    body = {"slack_channel_ids": [], "mode": "shared", "dedicated_service_url": None}
    assert (await admin("PUT", TEAM, body)).status_code == 409
    assert (await admin("GET", TEAM)).status_code == 404
    assert await admin.ok("DELETE", TEAM) == {"found": False}
