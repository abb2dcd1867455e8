"""The doctor: what is missing and how to mend it; and what stands in the cluster that is in no record."""

import sqlalchemy as sa

from orchestrator.runtime import examiners
from orchestrator.store.tables import channels, names, runs, teams
from orchestrator.usecases.caller import Caller
from orchestrator.usecases.orphans import Orphan, Orphans
from tests.integration.orchestrator.world import World

DOCTOR = Caller("doctor")
SPEC = {
    "dedicated": {
        "replicas": 3,
        "resources": {
            "requests": {"cpu": "1", "memory": "1Gi"},
            "limits": {"cpu": "1", "memory": "1Gi"},
        },
        "node_selector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "image": "registry.test/agent:2",
        "sla": "guaranteed",
    },
    "pipeline_time_zone": "Europe/Berlin",
}


def orphans_of(world: World) -> Orphans:
    return examiners(world.settings, world.doors)[1]


async def forget(world: World) -> None:
    """The database as it was before anybody asked for anything."""
    async with world.doors.database.unit_of_work() as connection:
        for table in (teams, runs, names, channels):
            await connection.execute(sa.delete(table))


async def test_all_is_well(world: World) -> None:
    await world.provision()

    findings = [finding async for finding in examiners(world.settings, world.doors)[0].examine()]

    assert [finding for finding in findings if finding.ok is False] == []
    checks = {finding.check for finding in findings}
    assert {"database", "brake", "deletions", "Config Service", "cluster"} <= checks
    assert [finding.check for finding in findings if finding.ok is None] == ["network policies"]


async def test_what_the_cluster_does_not_allow_is_named(world: World) -> None:
    world.cluster._http.headers["Impersonate-User"] = "nobody"

    findings = {
        finding.check: finding async for finding in examiners(world.settings, world.doors)[0].examine()
    }

    rights = findings[f"rights in namespace {world.namespace}"]
    assert rights.ok is False
    assert "patch cronjobs" in rights.detail
    assert findings["rights for isolation: namespace"].ok is False


async def test_teams_that_are_in_the_records_are_no_orphans(world: World) -> None:
    await world.provision()
    await world.provision(team_node_id="kept", slack_channel_ids=["C2"])
    await world.deprovision(team_node_id="kept", delete_k8s_resources=False)

    assert await mine(world) == []


async def test_an_orphan_is_adopted_as_what_it_was(world: World) -> None:
    await world.provision(**SPEC)
    before = (await world.http.get("/api/v1/admin/teams/extend/platform-sre")).json()["spec"]
    objects = await world.objects()
    await forget(world)
    (orphan,) = await mine(world)
    assert set(orphan.refs) == set(objects)

    run = await orphans_of(world).adopt(orphan, DOCTOR)

    assert (await world.run_ended(run.id))["status"] == "succeeded"
    team = (await world.http.get("/api/v1/admin/teams/extend/platform-sre")).json()
    assert team["spec"] == before
    assert team["last_run"]["requested_by"] == "doctor"
    now = await world.objects()
    assert {ref: obj["metadata"]["uid"] for ref, obj in now.items()} == {
        ref: obj["metadata"]["uid"] for ref, obj in objects.items()
    }
    assert await mine(world) == []


async def test_an_autoscaled_orphan_is_adopted_with_its_autoscaler(world: World) -> None:
    scaling = {"min_replicas": 2, "max_replicas": 6, "cpu_percent": 55}
    await world.provision(dedicated={"autoscaling": scaling})
    await forget(world)
    (orphan,) = await mine(world)

    run = await orphans_of(world).adopt(orphan, DOCTOR)

    assert (await world.run_ended(run.id))["status"] == "succeeded"
    team = (await world.http.get("/api/v1/admin/teams/extend/platform-sre")).json()
    assert team["spec"]["dedicated"]["autoscaling"] == scaling


async def test_an_orphan_is_removed_only_when_somebody_says_so(world: World) -> None:
    await world.provision()
    await forget(world)
    (orphan,) = await mine(world)
    assert len(await world.objects()) == len(orphan.objects)

    run = await orphans_of(world).remove(orphan, DOCTOR)

    assert (await world.run_ended(run.id))["status"] == "succeeded"
    assert await world.objects() == {}


async def mine(world: World) -> list[Orphan]:
    """Orphans of this test's own namespace: tests share one cluster."""
    found = await orphans_of(world).find()
    return [orphan for orphan in found if orphan.refs[0].namespace == world.namespace]
