"""What clients rely on beyond what was recorded."""

import asyncio
import json

import httpx2
import pytest
import pytest_asyncio
from lightkube import AsyncClient, KubeConfig
from lightkube.models.core_v1 import ServicePort, ServiceSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Service
from lightkube.types import CascadeType

CONFIG_MAPS = "/api/v1/namespaces/incidentfox/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/incidentfox/deployments"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
APPLY = {"Content-Type": "application/apply-patch+yaml"}


@pytest_asyncio.fixture(autouse=True)
async def namespace(api_server):
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "incidentfox"}}
    api_server.registry.create(body, manager="test")


def config_map(name, **labels):
    metadata = {"name": name, "namespace": "incidentfox", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}


def deployment(name="d", replicas=1):
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "i:1"}]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


async def lines_of(client, path, **params):
    params = {"watch": "true", "timeoutSeconds": "1", **params}
    answer = await client.get(path, params=params)
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_metadata_alone(client):
    await client.post(CONFIG_MAPS, json=config_map("a"))
    one = (await client.get(f"{CONFIG_MAPS}/a", headers={"Accept": PARTIAL})).json()
    many = (await client.get(CONFIG_MAPS, headers={"Accept": PARTIAL_LIST})).json()
    assert (one["kind"], "data" in one, one["metadata"]["name"]) == ("PartialObjectMetadata", False, "a")
    assert (many["kind"], [item["metadata"]["name"] for item in many["items"]]) == (
        "PartialObjectMetadataList",
        ["a"],
    )


async def test_metadata_alone_in_a_watch(client):
    await client.post(CONFIG_MAPS, json=config_map("a"))
    answer = await client.get(
        CONFIG_MAPS, params={"watch": "1", "timeoutSeconds": "1"}, headers={"Accept": PARTIAL}
    )
    (event,) = [json.loads(line) for line in answer.text.splitlines()]
    assert (event["type"], event["object"]["kind"]) == ("ADDED", "PartialObjectMetadata")


async def test_tables(client):
    await client.post(DEPLOYMENTS, json=deployment())
    table = (await client.get(DEPLOYMENTS, headers={"Accept": TABLE})).json()
    assert [column["name"] for column in table["columnDefinitions"]][:2] == ["Name", "Ready"]
    assert table["rows"][0]["cells"][:2] == ["d", "0/1"]


async def test_a_form_that_the_server_does_not_have(client):
    answer = await client.get(CONFIG_MAPS, headers={"Accept": "application/vnd.kubernetes.protobuf"})
    assert (answer.status_code, answer.json()["reason"]) == (406, "NotAcceptable")


async def test_a_watch_from_a_forgotten_version_is_told_so(api_server, client):
    api_server.registry.store.forget_history_before(1000)
    (event,) = await lines_of(client, CONFIG_MAPS, resourceVersion="5")
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


async def test_a_watch_that_asks_for_the_initial_state_is_told_where_it_ends(client):
    await client.post(CONFIG_MAPS, json=config_map("a"))
    events = await lines_of(client, CONFIG_MAPS, sendInitialEvents="true", allowWatchBookmarks="true")
    # One more bookmark comes when the time is over.
    assert [event["type"] for event in events][:2] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_watch_ends_when_the_server_stops(api_server, client):
    async with client.stream("GET", CONFIG_MAPS, params={"watch": "true"}) as answer:
        api_server.registry.store.end_subscriptions()
        async with asyncio.timeout(5):
            assert await answer.aread() == b""


async def test_a_watch_of_one_object(client):
    await client.post(CONFIG_MAPS, json=config_map("a"))
    await client.post(CONFIG_MAPS, json=config_map("b"))
    (event,) = await lines_of(client, CONFIG_MAPS, fieldSelector="metadata.name=b")
    assert event["object"]["metadata"]["name"] == "b"


async def test_scale(client):
    await client.post(DEPLOYMENTS, json=deployment())
    patch = {"spec": {"replicas": 3}}
    headers = {"Content-Type": "application/merge-patch+json"}
    scaled = await client.patch(f"{DEPLOYMENTS}/d/scale", json=patch, headers=headers)
    assert (scaled.json()["kind"], scaled.json()["spec"]["replicas"]) == ("Scale", 3)
    assert (await client.get(f"{DEPLOYMENTS}/d")).json()["metadata"]["generation"] == 2


async def test_a_status_write_leaves_the_generation(client):
    await client.post(DEPLOYMENTS, json=deployment())
    patch = {"status": {"readyReplicas": 1}, "spec": {"replicas": 9}}
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = (await client.patch(f"{DEPLOYMENTS}/d/status", json=patch, headers=headers)).json()
    assert (answer["status"], answer["spec"]["replicas"]) == ({"readyReplicas": 1}, 1)
    assert answer["metadata"]["generation"] == 1


async def test_delete_collection_by_label(client):
    for name, team in (("a", "x"), ("b", "y")):
        await client.post(CONFIG_MAPS, json=config_map(name, team=team))
    await client.delete(CONFIG_MAPS, params={"labelSelector": "team=x"})
    left = (await client.get(CONFIG_MAPS)).json()["items"]
    assert [item["metadata"]["name"] for item in left] == ["b"]


async def test_an_unknown_field_is_dropped_with_a_warning(client):
    answer = await client.post(CONFIG_MAPS, json=config_map("a") | {"dtaa": {}})
    assert (answer.status_code, answer.headers["Warning"]) == (201, '299 - "unknown field \\"dtaa\\""')
    assert "dtaa" not in answer.json()


async def test_jobs_leave_their_pods_behind_unless_told_otherwise(client):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "m", "image": "i:1"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}}
    jobs = "/apis/batch/v1/namespaces/incidentfox/jobs"
    created = (await client.post(jobs, json=job)).json()
    assert created["spec"]["selector"]["matchLabels"] == {
        "batch.kubernetes.io/controller-uid": created["metadata"]["uid"]
    }
    answer = await client.delete(f"{jobs}/j")
    assert "child pods are preserved by default" in answer.headers["Warning"]
    assert answer.json()["metadata"]["finalizers"] == ["orphan"]


async def test_a_body_of_more_than_three_mebibytes_is_refused(client):
    answer = await client.post(CONFIG_MAPS, content=b" " * (3 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["reason"]) == (413, "RequestEntityTooLarge")


async def test_yaml_dates_stay_text(client):
    body = b"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {day: '2026-01-01'}}"
    params = {"fieldManager": "test"}
    answer = await client.patch(f"{CONFIG_MAPS}/a", content=body, params=params, headers=APPLY)
    assert answer.json()["data"] == {"day": "2026-01-01"}


async def test_events_are_the_same_through_both_doors(client):
    event = {
        "metadata": {"name": "e", "namespace": "incidentfox"},
        "regarding": {"kind": "Deployment", "name": "d", "namespace": "incidentfox"},
        "reason": "Provisioned", "action": "Provision", "type": "Normal", "note": "done",
        "reportingController": "incidentfox.io/orchestrator", "reportingInstance": "o-0",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    }  # fmt: skip
    created = await client.post("/apis/events.k8s.io/v1/namespaces/incidentfox/events", json=event)
    assert created.status_code == 201
    core = (await client.get("/api/v1/namespaces/incidentfox/events/e")).json()
    assert (core["message"], core["involvedObject"]["name"]) == ("done", "d")
    listed = (
        await client.get("/apis/events.k8s.io/v1/events", params={"fieldSelector": "reason=Provisioned"})
    ).json()
    assert [item["note"] for item in listed["items"]] == ["done"]


async def test_quotas_count_what_there_is(api_server, client):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q", "namespace": "incidentfox"},
    }
    api_server.registry.create(quota | {"spec": {"hard": {"configmaps": "1"}}}, manager="test")
    answers = [await client.post(CONFIG_MAPS, json=config_map(name)) for name in ("a", "b")]
    assert [answer.status_code for answer in answers] == [201, 403]
    assert (
        "exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1"
        in answers[1].text
    )


async def test_strangers_may_ask_for_health_and_nothing_else(api_server):
    async with httpx2.AsyncClient(base_url=api_server.url) as stranger:
        assert (await stranger.get("/readyz")).text == "ok"
        assert (await stranger.get("/version")).json()["minor"] == "36"
        assert (await stranger.get("/apis")).status_code == 403
        assert (await stranger.get("/api/v1/secrets")).status_code == 403
        assert (await stranger.get("/as/wrong/api/v1/secrets")).status_code == 401


@pytest.mark.parametrize(
    "path", ["/api", "/apis", "/apis/apps", "/api/v1", "/apis/apps/v1", "/openapi/v3/apis/apps/v1"]
)
async def test_discovery_answers(path, client):
    assert (await client.get(path)).status_code == 200


async def test_everything_can_be_listed(client):
    groups = (await client.get("/apis")).json()["groups"]
    prefixes = ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)]
    for prefix in prefixes:
        for resource in (await client.get(prefix)).json()["resources"]:
            if "list" in resource["verbs"]:
                for accept in ("application/json", TABLE):
                    answer = await client.get(f"{prefix}/{resource['name']}", headers={"Accept": accept})
                    assert answer.status_code == 200, answer.text


class TestWithLightkube:
    """The client that the control plane uses."""

    @pytest_asyncio.fixture
    async def kubernetes(self, api_server):
        config = KubeConfig.from_file(str(api_server.kubeconfig_path))
        client = AsyncClient(
            config=config, namespace="incidentfox", field_manager="orchestrator", trust_env=False
        )
        yield client
        await client.close()

    async def test_apply_get_and_delete(self, kubernetes):
        applied = await kubernetes.apply(Deployment.from_dict(deployment()), force=True)
        assert applied.status.readyReplicas is None
        assert (await kubernetes.get(Deployment, "d")).spec.strategy.type == "RollingUpdate"
        await kubernetes.delete(Deployment, "d", cascade=CascadeType.FOREGROUND)
        assert (await kubernetes.get(Deployment, "d")).metadata.finalizers == ["foregroundDeletion"]

    async def test_lists_by_label_over_pages(self, kubernetes):
        for number in range(5):
            metadata = ObjectMeta(name=f"c{number}", labels={"team": "x"})
            await kubernetes.create(ConfigMap(metadata=metadata, data={"a": "1"}))
        found = [
            item.metadata.name
            async for item in kubernetes.list(ConfigMap, labels={"team": "x"}, chunk_size=2)
        ]
        assert found == [f"c{number}" for number in range(5)]

    async def test_watch(self, kubernetes):
        service = Service(metadata=ObjectMeta(name="s"), spec=ServiceSpec(ports=[ServicePort(port=80)]))
        await kubernetes.create(service)
        async for event, seen in kubernetes.watch(Service):
            assert (event, seen.metadata.name, seen.spec.ports[0].targetPort) == ("ADDED", "s", 80)
            break
