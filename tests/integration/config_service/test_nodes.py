"""The tree of an organisation, as its admins build it."""

import asyncio

import pytest

NODES = "/api/v1/admin/orgs/extend/nodes"


async def make(api, node_id, node_type="unit", **more):
    return await api.ok("POST", NODES, {"id": node_id, "type": node_type, **more})


async def test_the_first_node_makes_the_organisation(admin):
    response = await admin("POST", NODES, {"id": "platform-sre", "type": "team", "name": "Platform SRE"})
    assert response.status_code == 201
    assert response.headers["location"] == f"{NODES}/platform-sre"
    node = response.json()
    assert (node["id"], node["type"], node["parent_id"], node["name"], node["version"]) == (
        "platform-sre",
        "team",
        "~",
        "Platform SRE",
        1,
    )
    listed = await admin.ok("GET", NODES)
    assert [(item["id"], item["type"], item["parent_id"]) for item in listed["items"]] == [
        ("platform-sre", "team", "~"),
        ("~", "org", None),
    ]
    assert listed["next_cursor"] is None


async def test_an_id_is_taken_once(admin):
    await make(admin, "sre", "team")
    assert (await admin("POST", NODES, {"id": "sre", "type": "unit"})).status_code == 409
    await make(admin, "SRE", "team")


async def test_of_many_at_once_one_makes_the_node(admin):
    answers = await asyncio.gather(*(admin("POST", NODES, {"id": "sre", "type": "team"}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


@pytest.mark.parametrize("parent", ["nobody", "sre"])
async def test_a_parent_must_exist_and_not_be_a_team(admin, parent):
    await make(admin, "sre", "team")
    response = await admin("POST", NODES, {"id": "x", "type": "team", "parent_id": parent})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "parent_id"


async def test_lists_come_in_pages(admin):
    names = [f"unit-{number}" for number in range(5)]
    for name in names:
        await make(admin, name)
    seen, cursor = [], None
    while True:
        query = "?limit=2" + (f"&cursor={cursor}" if cursor else "")
        page = await admin.ok("GET", NODES + query)
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [*names, "~"]


async def test_a_node_is_renamed_and_moved(admin):
    await make(admin, "west")
    await make(admin, "sre", "team")
    moved = await admin.ok("PATCH", f"{NODES}/sre", {"parent_id": "west", "name": "SRE"})
    assert (moved["parent_id"], moved["name"]) == ("west", "SRE")
    back = await admin.ok("PATCH", f"{NODES}/sre", {"parent_id": None})
    assert (back["parent_id"], back["name"]) == ("~", "SRE")


async def test_no_circle_is_closed(admin):
    await make(admin, "west")
    await make(admin, "oregon", parent_id="west")
    response = await admin("PATCH", f"{NODES}/west", {"parent_id": "oregon"})
    assert response.status_code == 422
    assert (await admin("PATCH", f"{NODES}/~", {"parent_id": "west"})).status_code == 422


async def test_no_circle_is_closed_by_two_at_once(admin):
    for attempt in range(5):
        await make(admin, f"a{attempt}")
        await make(admin, f"b{attempt}")
        answers = await asyncio.gather(
            admin("PATCH", f"{NODES}/a{attempt}", {"parent_id": f"b{attempt}"}),
            admin("PATCH", f"{NODES}/b{attempt}", {"parent_id": f"a{attempt}"}),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 422]


async def test_a_node_with_children_stays(admin):
    await make(admin, "west")
    await make(admin, "sre", "team", parent_id="west")
    assert (await admin("DELETE", f"{NODES}/west")).status_code == 409
    assert (await admin("DELETE", f"{NODES}/sre")).status_code == 204
    assert (await admin("DELETE", f"{NODES}/west")).status_code == 204
    assert (await admin("DELETE", f"{NODES}/west")).status_code == 404
    assert (await admin("DELETE", f"{NODES}/~")).status_code == 204
    assert (await admin("GET", NODES)).status_code == 404


async def test_a_parent_never_goes_while_a_child_comes(admin):
    for attempt in range(5):
        await make(admin, f"unit{attempt}")
        child = {"id": f"team{attempt}", "type": "team", "parent_id": f"unit{attempt}"}
        made, deleted = await asyncio.gather(
            admin("POST", NODES, child), admin("DELETE", f"{NODES}/unit{attempt}")
        )
        assert (made.status_code, deleted.status_code) in {(201, 409), (422, 204)}


async def test_the_root_answers_to_the_organisations_id_until_a_team_bears_it(admin):
    await make(admin, "west")
    await admin.ok("PUT", f"{NODES}/extend/config", {"tone": "dry"})
    assert (await admin.ok("GET", f"{NODES}/extend"))["type"] == "org"
    await make(admin, "extend", "team", parent_id="extend")
    assert (await admin.ok("GET", f"{NODES}/extend"))["type"] == "team"
    assert (await admin.ok("GET", f"{NODES}/~/config"))["config"] == {"tone": "dry"}
    assert (await admin.ok("GET", f"{NODES}/extend/effective"))["config"] == {"tone": "dry"}


async def test_deleting_twice_does_not_take_the_organisation(admin):
    await make(admin, "extend", "team")
    assert (await admin("DELETE", f"{NODES}/extend")).status_code == 204
    assert (await admin("DELETE", f"{NODES}/extend")).status_code == 404
    assert (await admin.ok("GET", f"{NODES}/~"))["type"] == "org"


async def test_a_tree_has_a_last_level(admin):
    parent = "~"
    for level in range(2, 17):
        await make(admin, f"unit-{level}", parent_id=parent)
        parent = f"unit-{level}"
    response = await admin("POST", NODES, {"id": "deeper", "type": "team", "parent_id": parent})
    assert response.status_code == 422


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "team"}, "id"),
        ({"id": "-x", "type": "team"}, "id"),
        ({"id": "x\n", "type": "team"}, "id"),
        ({"id": "é", "type": "team"}, "id"),
        ({"id": "x" * 64, "type": "team"}, "id"),
        ({"id": 5, "type": "team"}, "id"),
        ({"id": "x", "type": "org"}, "type"),
        ({"id": "x", "type": "team", "colour": "red"}, "colour"),
        ({"id": "x", "type": "team", "name": "n" * 201}, "name"),
        ({"id": "x", "type": "team", "parent_id": "a b"}, "parent_id"),
        ([], "body"),
    ],
)
async def test_a_wrong_field_is_named(admin, body, field):
    response = await admin("POST", NODES, body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"][0]["field"] == field
