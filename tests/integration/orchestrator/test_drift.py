"""Drift: what somebody deletes or changes by hand comes back, told by the watch and not by the clock."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.integration.orchestrator.world import World

from orchestrator.domain.objects import Manifest, Ref
from orchestrator.reconciler.drift import WATCHED_KINDS, Index
from orchestrator.settings import Settings

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


async def until(what: str, condition: Any) -> None:
    """Wait for something that another task brings about."""
    async with asyncio.timeout(15):  # what is waited for happens in another program
        while not await condition():
            await asyncio.sleep(0.02)
    assert what


async def indexed(world: World) -> None:
    """The index knows every object of the team, so that a change to one is news."""
    objects = await world.objects()

    async def known() -> bool:
        return len(world.plane.drift.index) >= len(objects)

    await until("every object is indexed", known)


@pytest.mark.parametrize(
    "kind", [kind for kind in WATCHED_KINDS if kind not in {"Namespace", "ResourceQuota", "LimitRange"}]
)
async def test_a_deleted_object_comes_back(watching: World, kind: str) -> None:
    await watching.provision(**WHOLE)
    await indexed(watching)
    ref, obj = next((ref, obj) for ref, obj in (await watching.objects()).items() if ref.kind == kind)

    await watching.cluster._send("DELETE", path_of(ref))

    async def back() -> bool:
        now = await watching.cluster.get(ref)
        return now is not None and now["metadata"]["uid"] != obj["metadata"]["uid"]

    await until(f"{kind} is back", back)


async def test_a_changed_field_of_ours_is_put_back(watching: World) -> None:
    await watching.provision()
    await indexed(watching)

    await by_hand(watching, Ref("Deployment", watching.namespace, AGENT), {"spec": {"replicas": 7}})

    async def back() -> bool:
        deployment = await watching.get("Deployment", AGENT)
        return deployment is not None and deployment["spec"]["replicas"] == 1

    await until("replicas are back", back)


async def test_a_removed_label_of_ours_is_put_back(watching: World) -> None:
    await watching.provision()
    await indexed(watching)

    labels = {"metadata": {"labels": {"app.kubernetes.io/part-of": "somebody-elses"}}}
    await by_hand(watching, Ref("Service", watching.namespace, AGENT), labels)

    async def back() -> bool:
        service = await watching.get("Service", AGENT)
        return (
            service is not None
            and service["metadata"]["labels"]["app.kubernetes.io/part-of"] == "incidentfox"
        )

    await until("the label is back", back)


async def test_fields_of_others_are_left_alone(watching: World) -> None:
    await watching.provision(**WHOLE)
    await indexed(watching)

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
    await indexed(watching)

    await watching.make_available(AGENT)

    async def ready() -> bool:
        team = (await watching.http.get("/api/v1/admin/teams/extend/platform-sre")).json()
        return {item["type"]: item["status"] for item in team["conditions"]}["Ready"] == "True"

    await until("the team is ready", ready)


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
