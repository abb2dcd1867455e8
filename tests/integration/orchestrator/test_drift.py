"""Drift: what somebody deletes or changes by hand comes back, told by the watch and not by the clock."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from orchestrator.cluster.index import Index
from orchestrator.cluster.informers import WATCHED_KINDS
from orchestrator.domain.objects import Manifest, Ref
from orchestrator.domain.team import TeamKey
from orchestrator.reconciler.drift import HOT_WAKES, Damper
from orchestrator.reconciler.fights import TIMES
from orchestrator.settings import Settings
from tests.integration.orchestrator.world import World

KEY = TeamKey("extend", "platform-sre")
AGENT = "agent-dedicated-extend-platform-sre"
#: Everything a team may have at once in the installation's namespace.
WHOLE: dict[str, Any] = {
    "dedicated": {"replicas": 2, "autoscaling": {"min_replicas": 2, "max_replicas": 4}},
}


@pytest.fixture
async def watching(settings: Settings) -> AsyncIterator[World]:
    """A control plane with its drift watch; the resync is too far away to be what mends anything."""
    async with World.start(
        settings.model_copy(update={"resync_interval": timedelta(hours=1)}), drift=True
    ) as world:
        yield world


async def seen(world: World, kind: str, condition: Callable[[Manifest], bool]) -> None:
    """Return when an object of a kind, as the cluster tells of it, is as it should be."""
    selector = "app.kubernetes.io/managed-by=orchestrator"
    async with asyncio.timeout(15):
        listed = await world.cluster.list_versioned(kind, namespace=world.namespace, selector=selector)
        if any(map(condition, listed.objects)):
            return
        events = world.cluster.watch(
            kind, namespace=world.namespace, selector=selector, version=listed.version, quiet_s=15, watch_s=15
        )
        async for event, obj in events:
            if event in {"ADDED", "MODIFIED"} and condition(obj):
                return


@pytest.mark.parametrize(
    "kind", [kind for kind in WATCHED_KINDS if kind not in {"Namespace", "ResourceQuota", "LimitRange"}]
)
async def test_a_deleted_object_comes_back(watching: World, kind: str) -> None:
    await watching.provision(**WHOLE)
    ref, obj = next((ref, obj) for ref, obj in (await watching.objects()).items() if ref.kind == kind)

    await watching.cluster._send("DELETE", path_of(ref))

    def is_back(now: Manifest) -> bool:
        return now["metadata"]["name"] == ref.name and now["metadata"]["uid"] != obj["metadata"]["uid"]

    await seen(watching, kind, is_back)


async def test_a_changed_field_of_ours_is_put_back(watching: World) -> None:
    await watching.provision()

    await by_hand(watching, Ref("Deployment", watching.namespace, AGENT), {"spec": {"replicas": 7}})

    await seen(watching, "Deployment", lambda obj: obj["spec"]["replicas"] == 1)


async def test_a_removed_label_of_ours_is_put_back(watching: World) -> None:
    await watching.provision()

    labels = {"metadata": {"labels": {"app.kubernetes.io/part-of": "somebody-elses"}}}
    await by_hand(watching, Ref("Service", watching.namespace, AGENT), labels)

    await seen(
        watching,
        "Service",
        lambda obj: obj["metadata"]["labels"]["app.kubernetes.io/part-of"] == "incidentfox",
    )


async def secret_of(world: World) -> Manifest:
    return next(obj for ref, obj in (await world.objects()).items() if ref.kind == "Secret")


async def test_a_label_of_the_secret_is_put_back_and_its_credential_stays(watching: World) -> None:
    await watching.provision()
    before = await secret_of(watching)

    labels = {"metadata": {"labels": {"app.kubernetes.io/part-of": "somebody-elses"}}}
    await by_hand(watching, Ref.of(before), labels)

    await seen(
        watching,
        "Secret",
        lambda obj: obj["metadata"]["labels"]["app.kubernetes.io/part-of"] == "incidentfox",
    )
    assert (await secret_of(watching))["data"] == before["data"]


async def test_a_credential_that_somebody_else_has_written_is_replaced(watching: World) -> None:
    await watching.provision()
    before = await secret_of(watching)

    await by_hand(watching, Ref.of(before), {"data": {"token": "bm90IG91cnM="}})

    await seen(
        watching, "Secret", lambda obj: obj["data"]["token"] not in {"bm90IG91cnM=", before["data"]["token"]}
    )
    config = await watching.config()
    assert config is not None
    assert [token["purpose"] for token in config["tokens"]].count("runtime") == 1


async def test_who_fights_over_which_field_is_said(watching: World) -> None:
    await watching.provision()
    ref = Ref("Deployment", watching.namespace, AGENT)
    for replicas in range(5, 5 + TIMES):
        await by_hand(watching, ref, {"spec": {"replicas": replicas}})
        await seen(watching, "Deployment", lambda obj: obj["spec"]["replicas"] == 1)

    async def is_degraded() -> bool:
        team = (await watching.http.get("/api/v1/admin/teams/extend/platform-sre")).json()
        degraded = next(item for item in team["conditions"] if item["type"] == "Degraded")
        return degraded["reason"] == "FieldsFoughtOver" and all(
            word in degraded["message"] for word in ("kubectl-edit", "spec.replicas", f"Deployment {AGENT}")
        )

    await until(is_degraded)


async def test_fields_of_others_are_left_alone(watching: World) -> None:
    await watching.provision(**WHOLE)

    patch = {"metadata": {"annotations": {"example.com/note": "keep"}}, "spec": {"replicas": 3}}
    await by_hand(watching, Ref("Deployment", watching.namespace, AGENT), patch)
    await watching.http.post("/api/v1/admin/teams/extend/platform-sre/reconcile")
    await watching.provision(slack_channel_ids=["C2"])

    deployment = await watching.get("Deployment", AGENT)
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 3
    assert deployment["metadata"]["annotations"]["example.com/note"] == "keep"


async def test_an_agent_that_becomes_available_is_noticed_at_once(watching: World) -> None:
    await watching.provision()

    woken = asyncio.Event()
    watching.plane.services.signals.on_team(lambda _key: woken.set())

    await watching.make_available(AGENT)

    await asyncio.wait_for(woken.wait(), 15)


async def test_that_an_agent_became_available_is_known_without_a_call(watching: World) -> None:
    await watching.provision()
    calls: list[str] = []

    async def count(request: httpx2.Request) -> None:
        calls.append(request.method)

    watching.cluster._http.event_hooks["request"].append(count)

    await watching.make_available(AGENT)
    await until(lambda: is_ready(watching))

    assert calls == ["GET", "PATCH"], "more than the test itself has asked"


async def test_asking_for_another_look_is_a_whole_pass(watching: World) -> None:
    await watching.provision()
    await watching.make_available(AGENT)
    await until(lambda: is_ready(watching))
    # Nothing in the cluster tells of this: a watch would not wake anybody.
    await watching.doors.config.put_team(KEY, channels=["C12345"], mode="shared", dedicated_service_url=None)

    await watching.http.post("/api/v1/admin/teams/extend/platform-sre/reconcile")

    async def is_routed() -> bool:
        return "dedicated" in ((await watching.lookup("C12345"))["agent_url"] or "")

    await until(is_routed)


async def test_a_name_that_somebody_else_has_taken_is_known_from_the_watch(watching: World) -> None:
    await watching.provision(team_node_id="another", slack_channel_ids=["C2"])
    ref = Ref("Service", watching.namespace, AGENT)
    spec = {"ports": [{"port": 1}]}
    metadata = {"name": ref.name, "namespace": ref.namespace}
    await watching.cluster.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})

    async def is_known() -> bool:
        return not watching.plane.drift.informers.absent(ref)

    await until(is_known)

    response = await watching.provision()

    assert response.status_code == 409, response.text
    assert response.json()["type"].endswith("resource_owned_by_another")
    service = await watching.get("Service", AGENT)
    assert service is not None
    assert service["spec"]["ports"][0]["port"] == 1


async def test_turning_autoscaling_on_keeps_the_replicas_that_run(watching: World) -> None:
    await watching.provision(dedicated={"replicas": 3})

    await watching.provision(dedicated={"autoscaling": {"min_replicas": 2, "max_replicas": 5}})

    deployment = await watching.get("Deployment", AGENT)
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 3


def test_a_list_that_lacks_an_object_wakes_its_team_once() -> None:
    woken: list[object] = []
    index = Index(woken.append)
    index.listed("Service", [service("u1", 5)])

    index.listed("Service", [])
    index.listed("Service", [])

    assert len(woken) == 1


def test_what_we_wrote_ourselves_is_no_news() -> None:
    woken: list[object] = []
    index = Index(woken.append)
    index.applied(service("u1", 7, generation=2))

    index.changed("MODIFIED", service("u1", 5, generation=1))
    index.changed("MODIFIED", service("u1", 7, generation=2))
    index.deleted("u1")
    index.changed("DELETED", service("u1", 9))

    assert woken == []


def test_a_team_that_is_fought_over_is_woken_ever_more_seldom() -> None:
    now = 0.0
    woken: list[TeamKey] = []
    pauses: list[float] = []

    def later(seconds: float, call: Callable[[], None]) -> None:
        nonlocal now
        pauses.append(seconds)
        now += seconds
        call()

    damper = Damper(woken.append, later=later, clock=lambda: now)
    for _ in range(HOT_WAKES + 4):
        damper(TeamKey("o", "t"))

    assert len(woken) == HOT_WAKES + 4
    assert pauses == [2.0, 4.0, 8.0, 16.0]
    now += 61.0
    damper(TeamKey("o", "t"))
    assert len(pauses) == 4


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when it holds."""
    async with asyncio.timeout(15):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


async def is_ready(world: World) -> bool:
    team = (await world.http.get("/api/v1/admin/teams/extend/platform-sre")).json()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in team["conditions"])


def service(uid: str, version: int, generation: int = 1) -> Manifest:
    labels = {
        "app.kubernetes.io/managed-by": "orchestrator",
        "incidentfox.io/org-id": "o",
        "incidentfox.io/team-node-id": "t",
    }
    return {
        "kind": "Service",
        "metadata": {
            "uid": uid,
            "name": "s",
            "resourceVersion": str(version),
            "generation": generation,
            "labels": labels,
        },
    }


def path_of(ref: Ref) -> str:
    from orchestrator.cluster.kinds import KINDS

    return f"{KINDS[ref.kind].collection(ref.namespace)}/{ref.name}"


async def by_hand(world: World, ref: Ref, patch: Manifest) -> None:
    """Change an object as `kubectl edit` does."""
    await world.cluster._send(
        "PATCH",
        path_of(ref),
        params={"fieldManager": "kubectl-edit"},
        content=json.dumps(patch),
        headers={"Content-Type": "application/merge-patch+json"},
    )
