"""What contract 1 refuses: each with its field named, and nothing kept of it anywhere."""

import json
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from config_service.store import tables as config_tables
from orchestrator.store import tables
from servicekit.database import Database
from tests.integration.orchestrator.world import SEED, World
from tests.unit.domain import recordings

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROVISION = "/api/v1/admin/provision/team"
DEPROVISION = "/api/v1/admin/deprovision/team"

BAD_IDS = {
    "empty": "",
    "too long": "a" * 64,
    "a dash in front": "-a",
    "a dot at the end": "a.",
    "an underscore at the end": "a_",
    "a slash": "a/b",
    "a blank": "a b",
    "a colon": "a:b",
    "letters beyond ASCII": "équipe",
    "digits beyond ASCII": "a\u0661",
    "a newline at the end": "a\n",
    "a NUL": "a\0b",
    "a lone surrogate": "a\ud800b",
    "a number": 7,
    "true": True,
    "null": None,
    "a list": ["a"],
    "an object": {"a": "b"},
}
BAD_CHANNELS = {
    "lower case": (["c12345"], "[0]"),
    "one character": (["C"], "[0]"),
    "33 characters": (["C" * 33], "[0]"),
    "much too long": (["C" * 5000], "[0]"),
    "a newline at the end": (["C1\n"], "[0]"),
    "letters beyond ASCII": (["CÉ"], "[0]"),
    "a NUL": (["C\0"], "[0]"),
    "a duplicate": (["C1", "C2", "C1"], "[2]"),
    "null inside": (["C1", None], "[1]"),
    "a number inside": ([12], "[0]"),
    "a list inside": ([["C1"]], "[0]"),
    "501": ([f"C{n}" for n in range(501)], ""),
    "a string": ("C1", ""),
    "an object": ({"C1": True}, ""),
    "true": (True, ""),
}
REFUSED_SCHEDULES = [
    step["request"]["body"]["spec"]["schedule"]
    for step in recordings.steps("cron-schedules")
    if not recordings.was_taken(step) and "H" not in step["request"]["body"]["spec"]["schedule"]
]
BAD_SCHEDULES = [
    *REFUSED_SCHEDULES,
    *("TZ=UTC @daily", "H(9-1) * * * *", "H(0-60) * * * *", "H/0 * * * *", "H(x) * * * *", "H H H H H H"),
    *(
        "0 2 * * *\0",
        "\ud800 2 * * *",
        "0 2 * * * # nightly",
        "@every -",
        "@every 1",
        "@H",
        "*" * 256,
        5,
        True,
    ),
    *(["0 2 * * *"], {"cron": "0 2 * * *"}),
]
BAD_TIME_ZONES = [
    *(
        "Mars/Phobos",
        "Local",
        "local",
        "",
        "+02:00",
        "europe/paris",
        "UTC\n",
        "UTC\0",
        "../UTC",
        "/etc/passwd",
    ),
    *("\ud800", "A" * 300, 1, ["UTC"]),
]
# What of `dedicated`, the field that is named, without `dedicated.` before it.
BAD_DEDICATED: list[tuple[Any, str]] = [
    *(({"replicas": count}, "replicas") for count in (0, 51, -1, "3", 1.5, 1.0, True, [1], 10**30)),
    ({"resources": {"requests": {"cpu": "lots"}}}, "resources.requests.cpu"),
    ({"resources": {"requests": {"cpu": "1x"}}}, "resources.requests.cpu"),
    ({"resources": {"requests": {"cpu": ""}}}, "resources.requests.cpu"),
    ({"resources": {"requests": {"cpu": " 1"}}}, "resources.requests.cpu"),
    ({"resources": {"requests": {"cpu": "\ud800"}}}, "resources.requests.cpu"),
    ({"resources": {"requests": {"cpu": "-1"}}}, "resources.requests.cpu"),
    ({"resources": {"requests": {"cpu": 1}}}, "resources.requests.cpu"),
    ({"resources": {"requests": {"cpu": None}}}, "resources.requests.cpu"),
    ({"resources": {"limits": {"memory": "0"}}}, "resources.limits.memory"),
    ({"resources": {"limits": {"memory": "1Gb"}}}, "resources.limits.memory"),
    ({"resources": {"limits": {"colour": "1"}}}, "resources.limits.colour"),
    ({"resources": {"limits": {"kubernetes.io/x": "1"}}}, "resources.limits.kubernetes.io/x"),
    ({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}, "resources.requests.cpu"),
    ({"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}}, "resources.requests.memory"),
    ({"resources": {"requests": ["cpu"]}}, "resources.requests"),
    ({"resources": {"claims": []}}, "resources.claims"),
    ({"resources": "1"}, "resources"),
    ({"autoscaling": {}}, "autoscaling.min_replicas"),
    ({"autoscaling": {"min_replicas": 1}}, "autoscaling.max_replicas"),
    ({"autoscaling": {"min_replicas": 3, "max_replicas": 2}}, "autoscaling.max_replicas"),
    ({"autoscaling": {"min_replicas": 0, "max_replicas": 2}}, "autoscaling.min_replicas"),
    ({"autoscaling": {"min_replicas": 1, "max_replicas": 51}}, "autoscaling.max_replicas"),
    ({"autoscaling": {"min_replicas": 1, "max_replicas": "2"}}, "autoscaling.max_replicas"),
    ({"autoscaling": {"min_replicas": 1, "max_replicas": 2, "cpu_percent": 0}}, "autoscaling.cpu_percent"),
    ({"autoscaling": {"min_replicas": 1, "max_replicas": 2, "cpu_percent": 101}}, "autoscaling.cpu_percent"),
    ({"autoscaling": {"min_replicas": 1, "max_replicas": 2, "memory": 1}}, "autoscaling.memory"),
    (
        {"autoscaling": {"min_replicas": 1, "max_replicas": 1}, "sla": "guaranteed"},
        "autoscaling.max_replicas",
    ),
    ({"autoscaling": True}, "autoscaling"),
    ({"node_selector": {"a b": "x"}}, "node_selector.a b"),
    ({"node_selector": {"": "x"}}, "node_selector."),
    ({"node_selector": {"disk": "a b"}}, "node_selector.disk"),
    ({"node_selector": {"disk": "\ud800"}}, "node_selector.disk"),
    ({"node_selector": {"disk": 1}}, "node_selector.disk"),
    ({"node_selector": {"disk": None}}, "node_selector.disk"),
    ({"node_selector": {f"k{n}": "v" for n in range(101)}}, "node_selector"),
    ({"node_selector": ["disk"]}, "node_selector"),
    ({"tolerations": [{"key": "a", "operator": "Sometimes"}]}, "tolerations[0].operator"),
    ({"tolerations": [{"key": "a", "operator": "Exists", "value": "v"}]}, "tolerations[0].value"),
    ({"tolerations": [{"key": "a", "effect": "Nope"}]}, "tolerations[0].effect"),
    ({"tolerations": [{"operator": "Equal", "value": "v"}]}, "tolerations[0].operator"),
    ({"tolerations": [{"key": "a b", "operator": "Exists"}]}, "tolerations[0].key"),
    ({"tolerations": [{"operator": "Exists"}, {"key": 1}]}, "tolerations[1].key"),
    (
        {"tolerations": [{"key": "a", "operator": "Exists", "toleration_seconds": 5}]},
        "tolerations[0].effect",
    ),
    (
        {"tolerations": [{"operator": "Exists", "effect": "NoExecute", "toleration_seconds": 10**30}]},
        "tolerations[0].toleration_seconds",
    ),
    ({"tolerations": [{"tolerationSeconds": 5}]}, "tolerations[0].tolerationSeconds"),
    ({"tolerations": [{"operator": "Exists"}] * 51}, "tolerations"),
    ({"tolerations": {"operator": "Exists"}}, "tolerations"),
    ({"isolation": "cell"}, "isolation"),
    ({"isolation": 1}, "isolation"),
    ({"sla": "platinum"}, "sla"),
    ({"sla": ["guaranteed"]}, "sla"),
    ({"egress_cidrs": ["10.0.0.1/8"]}, "egress_cidrs[0]"),
    ({"egress_cidrs": ["10.0.0.0"]}, "egress_cidrs[0]"),
    ({"egress_cidrs": ["example.com"]}, "egress_cidrs[0]"),
    ({"egress_cidrs": ["169.254.169.254/32"]}, "egress_cidrs[0]"),
    ({"egress_cidrs": ["127.0.0.0/8"]}, "egress_cidrs[0]"),
    ({"egress_cidrs": ["fe80::/10"]}, "egress_cidrs[0]"),
    ({"egress_cidrs": ["8.8.8.8/33"]}, "egress_cidrs[0]"),
    ({"egress_cidrs": ["8.8.8.8/32", "8.8.8.8/32"]}, "egress_cidrs[1]"),
    ({"egress_cidrs": ["8.8.8.8/32", None]}, "egress_cidrs[1]"),
    ({"egress_cidrs": [f"8.8.8.{n}/32" for n in range(101)]}, "egress_cidrs"),
    ({"egress_cidrs": "8.8.8.8/32"}, "egress_cidrs"),
    ({"image": ""}, "image"),
    ({"image": "Agent:1"}, "image"),
    ({"image": "agent:1 --privileged"}, "image"),
    ({"image": "agent:1\n"}, "image"),
    ({"image": "agent\ud800"}, "image"),
    ({"image": "a" * 256}, "image"),
    ({"image": 1}, "image"),
    ({"colour": "red"}, "colour"),
    # Names that are also the names of the parts of a request.
    *(({name: 1}, name) for name in ("body", "path", "query", "header")),
]
OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"deployment_mode": "serverless"}, "deployment_mode"),
    ({"deployment_mode": "Dedicated"}, "deployment_mode"),
    ({"deployment_mode": 1}, "deployment_mode"),
    ({"deployment_mode": "shared", "dedicated": {"replicas": 2}}, "dedicated"),
    ({"deployment_mode": "shared", "dedicated": {}}, "dedicated"),
    ({"deployment_mode": ..., "dedicated": {"replicas": 2}}, "dedicated"),
    ({"deployment_mode": None, "dedicated": {"replicas": 2}}, "dedicated"),
    ({"dedicated": []}, "dedicated"),
    ({"dedicated": "yes"}, "dedicated"),
    ({"idempotency_key": "k" * 129}, "idempotency_key"),
    ({"idempotency_key": ""}, "idempotency_key"),
    ({"idempotency_key": "k\n"}, "idempotency_key"),
    ({"idempotency_key": "k\0"}, "idempotency_key"),
    ({"idempotency_key": 1}, "idempotency_key"),
    ({"dry_run": "yes"}, "dry_run"),
    ({"dry_run": 1}, "dry_run"),
    ({"dry_run": None}, "dry_run"),
    ({"protected": "true"}, "protected"),
    ({"restore_within": "soon"}, "restore_within"),
    ({"restore_within": "-1h"}, "restore_within"),
    ({"restore_within": 3600}, "restore_within"),
    ({"restore_within": "1" * 33 + "h"}, "restore_within"),
    ({"colour": "red"}, "colour"),
    ({"pipelineSchedule": "0 2 * * *"}, "pipelineSchedule"),
    *(({name: 1}, name) for name in ("body", "path", "query", "header")),
]


async def kept(world: World) -> set[str]:
    """The tables that have rows, of both databases; the brake has its one row from the beginning."""
    found: set[str] = set()
    config = Database(world.settings.config_database())
    try:
        for database, schema in ((world.doors.database, tables), (config, config_tables)):
            counts = [
                sa.select(sa.func.count()).select_from(table).scalar_subquery().label(table.name)
                for table in schema.metadata.sorted_tables
                if table is not tables.brake
            ]
            async with database.reading() as connection:
                row = (await connection.execute(sa.select(*counts))).mappings().one()
            found |= {name for name, count in row.items() if count}
    finally:
        await config.close()
    return found


async def assert_nothing_kept(world: World) -> None:
    assert await kept(world) == set()


def problem_of(response: httpx2.Response, *statuses: int) -> dict[str, Any]:
    assert response.status_code in (statuses or (422,)), response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == response.status_code
    assert set(problem) >= {"type", "title", "status", "detail"}
    return problem


async def send(world: World, path: str, body: Any, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await world.http.post(
        path, content=content, headers={"Content-Type": "application/json"} | headers
    )


async def assert_refused(world: World, field: str, path: str = PROVISION, /, **changes: Any) -> None:
    """The seed's request, changed like this, is refused for this field and leaves nothing behind."""
    seed = SEED if path == PROVISION else {name: SEED[name] for name in ("org_id", "team_node_id")}
    body = {name: value for name, value in (seed | changes).items() if value is not ...}

    problem = problem_of(await send(world, path, body))

    assert field in {error["field"] for error in problem["errors"]}, problem
    assert all(error["message"] for error in problem["errors"])
    await assert_nothing_kept(world)


@pytest.mark.parametrize("path", [PROVISION, DEPROVISION])
@pytest.mark.parametrize("field", ["org_id", "team_node_id"])
@pytest.mark.parametrize("value", [..., *BAD_IDS.values()], ids=["missing", *BAD_IDS])
async def test_an_id_that_is_no_label_value(shared_world: World, path: str, field: str, value: Any) -> None:
    await assert_refused(shared_world, field, path, **{field: value})


@pytest.mark.parametrize(("channels", "where"), BAD_CHANNELS.values(), ids=BAD_CHANNELS)
async def test_a_channel_that_slack_would_not_have(shared_world: World, channels: Any, where: str) -> None:
    await assert_refused(shared_world, f"slack_channel_ids{where}", slack_channel_ids=channels)


@pytest.mark.parametrize("schedule", BAD_SCHEDULES, ids=ascii)
async def test_a_schedule_that_the_cluster_would_not_take(shared_world: World, schedule: Any) -> None:
    await assert_refused(shared_world, "pipeline_schedule", pipeline_schedule=schedule)


@pytest.mark.parametrize("zone", BAD_TIME_ZONES, ids=ascii)
async def test_a_time_zone_that_is_none(shared_world: World, zone: Any) -> None:
    await assert_refused(shared_world, "pipeline_time_zone", pipeline_time_zone=zone)


@pytest.mark.parametrize(("wanted", "field"), BAD_DEDICATED, ids=lambda part: ascii(part)[:80])
async def test_a_wish_for_the_agent_that_cannot_be(shared_world: World, wanted: Any, field: str) -> None:
    await assert_refused(shared_world, f"dedicated.{field}", dedicated=wanted)


@pytest.mark.parametrize(("changes", "field"), OTHERS, ids=lambda part: ascii(part)[:80])
async def test_anything_else_that_is_wrong(shared_world: World, changes: dict[str, Any], field: str) -> None:
    await assert_refused(shared_world, field, **changes)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"delete_k8s_resources": "yes"}, "delete_k8s_resources"),
        ({"delete_config": 1}, "delete_config"),
        ({"dry_run": "no"}, "dry_run"),
        ({"idempotency_key": "k" * 129}, "idempotency_key"),
        ({"force": True}, "force"),
    ],
)
async def test_a_deprovisioning_that_is_wrong(
    shared_world: World, changes: dict[str, Any], field: str
) -> None:
    await assert_refused(shared_world, field, DEPROVISION, **changes)


async def test_a_dry_run_is_refused_for_the_same_reasons(shared_world: World) -> None:
    await assert_refused(shared_world, "pipeline_schedule", pipeline_schedule="@reboot", dry_run=True)


async def test_every_mistake_is_named_at_once(shared_world: World) -> None:
    body = SEED | {"slack_channel_ids": ["c1"], "pipeline_schedule": "@reboot", "dedicated": {"image": "A B"}}

    problem = problem_of(await send(shared_world, PROVISION, body))

    assert [error["field"] for error in problem["errors"]] == [
        "slack_channel_ids[0]",
        "pipeline_schedule",
        "dedicated.image",
    ]


SEED_TEXT = json.dumps(SEED)
BROKEN_BODIES = {
    "nothing": b"",
    "no JSON": b"org_id=extend",
    "half of it": SEED_TEXT[:40].encode(),
    "more than one": (SEED_TEXT + SEED_TEXT).encode(),
    "a list": b"[]",
    "a list of it": f"[{SEED_TEXT}]".encode(),
    "a string": b'"extend"',
    "a number": b"7",
    "null": b"null",
    "bytes that are no UTF-8": SEED_TEXT.replace("extend", "extend\xff").encode("latin-1"),
    "UTF-16": SEED_TEXT.encode("utf-16"),
    "NaN": SEED_TEXT.replace('"dedicated"', '"dedicated", "dedicated": {"replicas": NaN}').encode(),
    "Infinity": SEED_TEXT.replace(
        '"dedicated"', '"dedicated", "dedicated": {"replicas": -Infinity}'
    ).encode(),
    "a number of 5000 digits": (SEED_TEXT[:-1] + ', "dry_run": ' + "1" * 5000 + "}").encode(),
    "a float beyond all bounds": (SEED_TEXT[:-1] + ', "dry_run": 1e999}').encode(),
    "very deep lists": b"[" * 100_000,
    "very deep lists that end": b"[" * 100_000 + b"]" * 100_000,
    "very deep objects": (
        SEED_TEXT[:-1] + ', "dedicated": ' + '{"a":' * 50_000 + "1" + "}" * 50_001
    ).encode(),
    "a field that is no text": (SEED_TEXT[:-1] + ', "\\ud800": 1}').encode(),
    "a field twice": (SEED_TEXT[:-1] + ', "org_id": "another"}').encode(),
    "a field twice inside": (SEED_TEXT[:-1] + ', "dedicated": {"replicas": 1, "replicas": 2}}').encode(),
}


@pytest.mark.parametrize("path", [PROVISION, DEPROVISION])
@pytest.mark.parametrize("body", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
async def test_a_body_that_is_no_request(shared_world: World, path: str, body: bytes) -> None:
    problem = problem_of(await send(shared_world, path, body))

    assert problem["errors"]
    await assert_nothing_kept(shared_world)


async def test_a_body_that_is_not_json_is_named_as_such(shared_world: World) -> None:
    problem = problem_of(await send(shared_world, PROVISION, b'{"org_id": '))

    assert [error["field"] for error in problem["errors"]] == ["body"]


async def test_a_field_given_twice_is_named(shared_world: World) -> None:
    problem = problem_of(await send(shared_world, PROVISION, BROKEN_BODIES["a field twice inside"]))

    assert "replicas" in problem["detail"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "nonsense"]
)
async def test_a_body_of_another_kind(shared_world: World, kind: str) -> None:
    response = await send(shared_world, PROVISION, SEED, **{"Content-Type": kind})

    problem_of(response, 415, 422)
    await assert_nothing_kept(shared_world)


@pytest.mark.parametrize("path", [PROVISION, DEPROVISION])
async def test_a_body_that_is_too_large(shared_world: World, path: str) -> None:
    problem = problem_of(await send(shared_world, path, SEED | {"colour": "x" * 2_000_000}), 413)

    assert problem["type"].endswith("content_too_large")
    await assert_nothing_kept(shared_world)


@pytest.mark.parametrize("path", [PROVISION, DEPROVISION])
@pytest.mark.parametrize(
    "prefer", ["wait=121", "wait=abc", "wait=-1", "wait=", "wait", "wait=1.5", "wait=99999"]
)
async def test_a_wait_that_is_none(shared_world: World, path: str, prefer: str) -> None:
    body = SEED if path == PROVISION else {"org_id": "extend", "team_node_id": "platform-sre"}

    problem = problem_of(await send(shared_world, path, body, Prefer=prefer))

    assert problem["errors"][0]["field"] == "Prefer"
    await assert_nothing_kept(shared_world)


@pytest.mark.parametrize("key", ["k" * 129, "", "k\té", "\x7f"])
async def test_an_idempotency_key_in_the_header_that_is_none(shared_world: World, key: str) -> None:
    response = await shared_world.http.post(
        PROVISION, json=SEED, headers=[(b"Idempotency-Key", key.encode("latin-1"))]
    )

    problem = problem_of(response)
    assert problem["errors"][0]["field"] == "Idempotency-Key"
    await assert_nothing_kept(shared_world)


async def test_two_different_idempotency_keys(shared_world: World) -> None:
    response = await send(
        shared_world, PROVISION, SEED | {"idempotency_key": "one"}, **{"Idempotency-Key": "other"}
    )

    problem = problem_of(response)
    assert problem["errors"][0]["field"] == "idempotency_key"
    await assert_nothing_kept(shared_world)


BAD_QUERIES = [
    ("/api/v1/admin/teams?limit=0", "limit"),
    ("/api/v1/admin/teams?limit=501", "limit"),
    (f"/api/v1/admin/teams?limit={'9' * 5000}", "limit"),
    ("/api/v1/admin/teams?mode=serverless", "mode"),
    ("/api/v1/admin/teams?ready=perhaps", "ready"),
    ("/api/v1/admin/teams?org_id=a%00b", "org_id"),
    ("/api/v1/admin/teams?cursor=nonsense", "cursor"),
    ("/api/v1/admin/teams?cursor=%00", "cursor"),
    # [1], ["a", "b\u0000"], ["a", "\ud800"], {}, and an id that nobody can have.
    *(
        (f"/api/v1/admin/teams?cursor={cursor}", "cursor")
        for cursor in ("WzFd", "WyJhIiwgImJcdTAwMDAiXQ==", "WyJhIiwgIlx1ZDgwMCJd", "e30=", "WyJhIiwgIi0iXQ==")
    ),
    ("/api/v1/admin/provision/runs?cursor=%00", "cursor"),
    ("/api/v1/admin/provision/runs?cursor=x", "cursor"),
    ("/api/v1/admin/provision/runs?status=done", "status"),
    ("/api/v1/admin/provision/runs?team_node_id=-", "team_node_id"),
    ("/api/v1/admin/teams/a%00/b", "org"),
    ("/api/v1/admin/teams/a/b%0a", "team"),
    (f"/api/v1/admin/teams/{'a' * 64}/b/manifests", "org"),
]


@pytest.mark.parametrize(("address", "field"), BAD_QUERIES, ids=lambda part: part[:60])
async def test_a_question_that_makes_no_sense(shared_world: World, address: str, field: str) -> None:
    problem = problem_of(await shared_world.http.get(address))

    assert problem["errors"][0]["field"] == field


@pytest.mark.parametrize("run_id", ["x", "%00", "a" * 36, "0" * 5000, "%f0%9f%a6%8a", "..", "%27%20OR%201=1"])
async def test_a_run_that_nobody_has_heard_of(shared_world: World, run_id: str) -> None:
    for tail in ("", "/events"):
        problem_of(await shared_world.http.get(f"/api/v1/admin/provision/runs/{run_id}{tail}"), 404)


@pytest.mark.parametrize("token", ["\xe9", "a\xffb", "extend.platform-sre.\xe9", "a b", "\x7f", "x" * 60_000])
async def test_a_token_that_no_header_should_hold(shared_world: World, token: str) -> None:
    async with shared_world.caller(None) as caller:
        for address in ("/api/v1/admin/teams", "/api/v1/teams/me"):
            value = f"Bearer {token}".encode("latin-1")
            problem_of(await caller.get(address, headers=[(b"Authorization", value)]), 401)


async def test_none_of_it_made_an_object(shared_world: World) -> None:
    """The last of this module: whatever was refused before has left the cluster as it was."""
    await assert_nothing_kept(shared_world)
    assert await shared_world.objects() == {}
