"""The config of a node: versions, patches, what is inherited, and what is not."""

import asyncio
import json

import pytest

NODES = "/api/v1/admin/orgs/extend/nodes"
TEAM = f"{NODES}/platform-sre"
CONFIG = f"{TEAM}/config"
URL = "http://agent-dedicated-extend-platform-sre.incidentfox.svc.cluster.local:8000"
OTHER_URL = "http://agent-dedicated-acme-first.incidentfox.svc.cluster.local:8000"


@pytest.fixture
async def tree(admin):
    """extend → west → platform-sre"""
    await admin.ok("POST", NODES, {"id": "west", "type": "unit"})
    await admin.ok("POST", NODES, {"id": "platform-sre", "type": "team", "parent_id": "west"})
    return admin


async def patch_as(api, content_type, document):
    return await api("PATCH", CONFIG, content=json.dumps(document), headers={"Content-Type": content_type})


async def test_a_new_nodes_config_is_empty(tree):
    response = await tree("GET", CONFIG)
    assert response.json() == {"config": {}, "version": 1}
    assert response.headers["etag"] == '"1"'


async def test_put_replaces_and_patch_merges(tree):
    put = await tree("PUT", CONFIG, {"a": 1, "b": {"c": 1, "d": 2}})
    assert (put.json()["version"], put.headers["etag"]) == (2, '"2"')
    patched = await tree.ok("PATCH", CONFIG, {"a": None, "b": {"c": 3}})
    assert patched == {"config": {"b": {"c": 3, "d": 2}}, "version": 3}
    replaced = await tree.ok("PUT", CONFIG, {"e": []})
    assert replaced == {"config": {"e": []}, "version": 4}


async def test_what_was_read_can_be_sent_back(tree):
    await tree.ok("PUT", CONFIG, {"a": 1})
    read = await tree.ok("GET", CONFIG)
    read["config"]["b"] = 2
    assert await tree.ok("PUT", CONFIG, read) == {"config": {"a": 1, "b": 2}, "version": 3}
    assert (await tree("PUT", CONFIG, read | {"config": {}})).status_code == 412
    response = await tree("PUT", CONFIG, {"config": {}, "colour": "red"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "colour"


async def test_writing_the_same_makes_no_version(tree):
    await tree.ok("PUT", CONFIG, {"a": 1})
    assert (await tree.ok("PUT", CONFIG, {"a": 1}))["version"] == 2
    assert (await tree.ok("PUT", CONFIG, {"a": True}))["version"] == 3


async def test_patches_come_in_three_content_types(tree):
    merged = await patch_as(tree, "application/merge-patch+json", {"a": [1]})
    assert merged.json()["config"] == {"a": [1]}
    patched = await patch_as(tree, "application/json-patch+json", [{"op": "add", "path": "/a/-", "value": 2}])
    assert patched.json() == {"config": {"a": [1, 2]}, "version": 3}
    failed = await patch_as(tree, "application/json-patch+json", [{"op": "test", "path": "/a", "value": 2}])
    assert failed.status_code == 409
    malformed = await patch_as(tree, "application/json-patch+json", [{"op": "remove", "path": "/zzz"}])
    assert malformed.status_code == 422
    assert (await patch_as(tree, "text/plain", {"a": 1})).status_code == 422


@pytest.mark.parametrize(
    ("if_match", "status"),
    [('"2"', 200), ('"1", "2"', 200), ("*", 200), ('"1"', 412), ('W/"2"', 412), ("2", 412), ("", 412)],
)
async def test_a_precondition_holds_or_nothing_changes(tree, if_match, status):
    await tree.ok("PUT", CONFIG, {"a": 1})
    for method in ("PUT", "PATCH"):
        await tree.ok("PUT", CONFIG, {"a": 1})
        version = (await tree.ok("GET", CONFIG))["version"]
        header = if_match.replace("2", str(version))
        response = await tree(method, CONFIG, {"a": 2}, headers={"If-Match": header})
        assert response.status_code == status
        assert (await tree.ok("GET", CONFIG))["config"] == {"a": 2 if status == 200 else 1}


async def test_of_many_writers_with_one_version_one_wins(tree):
    answers = await asyncio.gather(
        *(tree("PUT", CONFIG, {"writer": n}, headers={"If-Match": '"1"'}) for n in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7


async def test_no_patch_is_lost_among_many(tree):
    await asyncio.gather(*(tree.ok("PATCH", CONFIG, {f"key-{n}": n}) for n in range(10)))
    read = await tree.ok("GET", CONFIG)
    assert read == {"config": {f"key-{n}": n for n in range(10)}, "version": 11}


async def test_effective_lies_from_the_root_down(tree):
    await tree.ok(
        "PUT", f"{NODES}/~/config", {"model": "small", "tools": ["a"], "limits": {"cpu": 1}, "x": 1}
    )
    await tree.ok("PUT", f"{NODES}/west/config", {"limits": {"memory": 2}, "tools": ["b"]})
    await tree.ok("PUT", CONFIG, {"model": "big", "x": None})
    answer = await tree.ok("GET", f"{TEAM}/effective?explain=1")
    assert answer == {
        "config": {"model": "big", "tools": ["b"], "limits": {"cpu": 1, "memory": 2}},
        "version": 2,
        "explain": {"model": "platform-sre", "tools": "west", "limits.cpu": "~", "limits.memory": "west"},
    }
    assert "explain" not in await tree.ok("GET", f"{TEAM}/effective")
    moved = await tree.ok("PATCH", TEAM, {"parent_id": None})
    assert moved["parent_id"] == "~"
    assert (await tree.ok("GET", f"{TEAM}/effective"))["config"]["tools"] == ["a"]


async def test_what_routes_is_never_inherited(tree):
    above = {
        "agent": {"mode": "dedicated", "model": "big"},
        "routing": {"slack_channel_ids": ["C1"], "x": 1},
    }
    await tree.ok("PUT", f"{NODES}/~/config", above)
    await tree.ok("PUT", f"{NODES}/west/config", above)
    assert (await tree.ok("GET", f"{TEAM}/effective"))["config"] == {"agent": {"model": "big"}}
    lookup = await tree.ok("POST", "/api/v1/internal/routing/lookup", {"slack_channel_id": "C1"})
    assert lookup == {"found": False}


async def test_a_dedicated_address_is_the_control_planes_alone(tree):
    for path in (CONFIG, f"{NODES}/west/config", f"{NODES}/~/config"):
        for url in (URL, "http://evil.example:8000", OTHER_URL):
            response = await tree("PATCH", path, {"agent": {"dedicated_service_url": url}})
            assert response.status_code == 422
            assert response.json()["errors"][0]["field"] == "agent.dedicated_service_url"
    await tree.put_team("extend", "platform-sre", mode="dedicated", url=URL)
    other = await tree("PATCH", CONFIG, {"agent": {"dedicated_service_url": OTHER_URL}})
    assert other.status_code == 422
    await tree.ok("PATCH", CONFIG, {"agent": {"dedicated_service_url": None}})
    restored = await tree.ok("PATCH", CONFIG, {"agent": {"dedicated_service_url": URL}})
    assert restored["config"]["agent"]["dedicated_service_url"] == URL


async def test_an_address_of_the_past_is_not_accepted_again(tree):
    await tree.put_team("extend", "platform-sre", mode="dedicated", url=URL)
    await tree.put_team("extend", "platform-sre")
    response = await tree("PATCH", CONFIG, {"agent": {"dedicated_service_url": URL}})
    assert response.status_code == 422


async def test_an_admin_maps_channels_by_the_config(tree):
    await tree.ok("PATCH", CONFIG, {"routing": {"slack_channel_ids": ["C1", "C2"]}})
    lookup = await tree.ok("POST", "/api/v1/internal/routing/lookup", {"slack_channel_id": "C2"})
    assert (lookup["org_id"], lookup["team_node_id"]) == ("extend", "platform-sre")
    await tree.ok("PUT", CONFIG, {"routing": {"slack_channel_ids": ["C1"]}})
    await tree.put_team("acme", "first", "C2")
    before = await tree.ok("GET", CONFIG)
    response = await tree("PUT", CONFIG, {"routing": {"slack_channel_ids": ["C2"]}, "a": 1})
    assert response.status_code == 409
    assert response.json()["owner"] == {"org_id": "acme", "team_node_id": "first"}
    assert await tree.ok("GET", CONFIG) == before


async def test_an_org_admin_writes_configs_but_not_routing(tree):
    org_admin = await tree.as_org_admin("extend")
    await org_admin.ok("PATCH", CONFIG, {"agent": {"model": "big"}})
    for patch, path in (
        ({"agent": {"mode": "dedicated"}}, "agent.mode"),
        ({"routing": {"slack_channel_ids": ["C1"]}}, "routing.slack_channel_ids"),
    ):
        for method in ("PATCH", "PUT"):
            response = await org_admin(method, CONFIG, patch)
            assert response.status_code == 403
            assert path in response.json()["detail"]


async def test_history_keeps_every_write_and_its_author(tree, clock):
    org_admin = await tree.as_org_admin("extend")
    await tree.ok("PUT", CONFIG, {"a": 1})
    clock.forward(hours=1)
    await org_admin.ok("PUT", CONFIG, {"a": 2})
    await tree.put_team("extend", "platform-sre")
    history = await tree.ok("GET", f"{TEAM}/history")
    assert [(item["version"], item["config"]) for item in history["items"]] == [
        (4, {"a": 2, "agent": {"mode": "shared"}}),
        (3, {"a": 2}),
        (2, {"a": 1}),
        (1, {}),
    ]
    authors = [item["changed_by"] for item in history["items"]]
    assert (authors[0], authors[2], authors[3]) == ("control-plane", "admin", "admin")
    assert authors[1].startswith("org-admin:")
    assert history["items"][1]["changed_at"] == "2026-01-02T04:04:05Z"
    first = await tree.ok("GET", f"{TEAM}/history?limit=3")
    rest = await tree.ok("GET", f"{TEAM}/history?limit=3&cursor={first['next_cursor']}")
    assert [item["version"] for item in rest["items"]] == [1]
    assert rest["next_cursor"] is None


async def test_a_rollback_is_a_new_version_and_leaves_routing(tree):
    await tree.ok("PUT", CONFIG, {"tone": "dry"})
    await tree.ok("PUT", CONFIG, {"tone": "wet"})
    await tree.put_team("extend", "platform-sre", "C1")
    rolled = await tree.ok("POST", f"{TEAM}/rollback/2")
    assert rolled == {
        "config": {
            "tone": "dry",
            "agent": {"mode": "shared"},
            "routing": {"slack_channel_ids": ["C1"]},
        },
        "version": 5,
    }
    assert (await tree("POST", f"{TEAM}/rollback/99")).status_code == 404
    assert (await tree("POST", f"{TEAM}/rollback/0")).status_code == 422
    stale = await tree("POST", f"{TEAM}/rollback/1", headers={"If-Match": '"4"'})
    assert stale.status_code == 412


async def test_a_team_writes_its_own_config(tree):
    team = await tree.as_team("extend", "platform-sre")
    await tree.ok("PUT", f"{NODES}/west/config", {"model": "big"})
    written = await team("PATCH", "/api/v1/config/me", {"tone": "dry"})
    assert written.json()["config"] == {"agent": {"mode": "shared"}, "tone": "dry"}
    assert written.headers["etag"] == f'"{written.json()["version"]}"'
    assert await team.ok("GET", "/api/v1/config/me/effective") == {
        "config": {"agent": {"mode": "shared"}, "tone": "dry", "model": "big"},
        "version": written.json()["version"],
        "org_id": "extend",
        "team_node_id": "platform-sre",
    }
    stale = await team("PATCH", "/api/v1/config/me", {"tone": "wet"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"agent": {"mode": "shared"}}, "agent.mode"),
        ({"agent": {"mode": "dedicated"}}, "agent.mode"),
        ({"agent": {"dedicated_service_url": URL}}, "agent.dedicated_service_url"),
        ({"agent": None}, "agent.mode"),
        ({"agent": "text"}, "agent.mode"),
        ({"routing": None}, "routing"),
        ({"routing": {"slack_channel_ids": ["C9"]}}, "routing.slack_channel_ids"),
        ({"config": {"routing": {"slack_channel_ids": ["C9"]}}}, "routing.slack_channel_ids"),
    ],
)
async def test_a_team_cannot_route_itself(tree, patch, path):
    team = await tree.as_team("extend", "platform-sre")
    before = await tree.ok("GET", CONFIG)
    response = await team("PATCH", "/api/v1/config/me", patch)
    assert response.status_code == 403
    assert path in response.json()["detail"]
    assert await tree.ok("GET", CONFIG) == before


async def test_a_team_cannot_route_itself_by_a_json_patch(tree):
    team = await tree.as_team("extend", "platform-sre")
    for operation in (
        {"op": "add", "path": "/routing", "value": {"slack_channel_ids": ["C9"]}},
        {"op": "remove", "path": "/agent"},
        {"op": "replace", "path": "", "value": {}},
        {"op": "move", "from": "/agent", "path": "/elsewhere"},
    ):
        response = await team(
            "PATCH",
            "/api/v1/config/me",
            content=json.dumps([operation]),
            headers={"Content-Type": "application/json-patch+json"},
        )
        assert response.status_code == 403


async def test_a_runtime_token_reads_but_does_not_write_the_config(tree):
    runtime = await tree.as_team("extend", "platform-sre", "runtime")
    await runtime.ok("GET", "/api/v1/config/me/effective")
    assert (await runtime("PATCH", "/api/v1/config/me", {"tone": "dry"})).status_code == 403


async def test_an_unknown_node_is_not_found(admin):
    for method, path in (
        ("GET", TEAM),
        ("PATCH", TEAM),
        ("DELETE", TEAM),
        ("GET", CONFIG),
        ("PUT", CONFIG),
        ("PATCH", CONFIG),
        ("GET", f"{TEAM}/effective"),
        ("GET", f"{TEAM}/history"),
        ("POST", f"{TEAM}/rollback/1"),
    ):
        body = {} if method in {"PUT", "PATCH"} else None
        assert (await admin(method, path, body)).status_code == 404, (method, path)


BAD_BODIES = [
    b"",
    b"{",
    b"[]",
    b'"text"',
    b"null",
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": "\\u0000"}',
    b'{"\\ud800": 1}',
    b'{"a": "\xff"}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a":' * 33 + b"{}" + b"}" * 33,
    b'{"a":' * 50_000,
    b'{"config": {"config": 1}}',
    b'{"config": null}',
    b'{"config": {}, "version": "1"}',
    b'{"agent": "text", "routing": {}}',
]


async def test_no_body_breaks_it(tree):
    for content in BAD_BODIES:
        response = await tree("PUT", CONFIG, content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == 422, content
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["errors"]
    assert (await tree.ok("GET", CONFIG))["version"] == 1


async def test_too_much_is_too_large(tree):
    assert (await tree("PUT", CONFIG, {"a": "x" * (256 * 1024)})).status_code == 413
    assert (await tree("PUT", CONFIG, {"a": "x" * (1024 * 1024)})).status_code == 413
