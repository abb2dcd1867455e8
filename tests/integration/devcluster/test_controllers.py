from datetime import datetime
from typing import Any

from devcluster.metadata import condition_of, has_condition, is_leaving
from tests.integration.devcluster.cluster import (
    NAMESPACE,
    SLEEPER,
    Cluster,
    container,
    is_ready,
    pod,
    server,
)


def deployment(name: str, agent: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [agent], "terminationGracePeriodSeconds": 2},
            },
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            **spec,
        },
    }


def job(name: str, program: str, **spec: Any) -> dict[str, Any]:
    template = {"spec": {"restartPolicy": "Never", "containers": [container(program)]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"completions": 1, "parallelism": 1, "backoffLimit": 2, "template": template, **spec},
    }


def is_complete(obj: dict[str, Any]) -> bool:
    status = obj.get("status") or {}
    progressing = condition_of(obj, "Progressing")
    return (
        status.get("observedGeneration") == obj["metadata"]["generation"]
        and progressing is not None
        and progressing["reason"] == "NewReplicaSetAvailable"
        and status.get("updatedReplicas", 0) == status.get("availableReplicas", 0) == obj["spec"]["replicas"]
    )


def changed(cluster: Cluster, obj: dict[str, Any], agent: dict[str, Any]) -> dict[str, Any]:
    live = cluster.registry.get("Deployment", NAMESPACE, obj["metadata"]["name"])
    spec = live["spec"]
    template = {**spec["template"], "spec": {**spec["template"]["spec"], "containers": [agent]}}
    return cluster.registry.update({**live, "spec": {**spec, "template": template}}, manager="test")


async def test_a_deployment_becomes_available_through_one_replica_set(cluster: Cluster) -> None:
    cluster.create(deployment("agent", server(), replicas=2))
    found = await cluster.until("Deployment", "agent", is_complete)
    status = found["status"]
    counts = [status[f"{each}Replicas"] for each in ("updated", "ready", "available")]
    assert counts == [2, 2, 2]
    assert "unavailableReplicas" not in status
    assert has_condition(found, "Available")
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert found["metadata"]["generation"] == 1
    (replica_set,) = cluster.registry.list("ReplicaSet", NAMESPACE)
    digest = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"agent-{digest}"
    pods = cluster.registry.list("Pod", NAMESPACE)
    assert all(each["metadata"]["name"].startswith(f"agent-{digest}-") for each in pods)
    (owner,) = pods[0]["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (
        replica_set["metadata"]["uid"],
        True,
        True,
    )


async def test_a_rolling_update_never_has_fewer_ready_pods_than_allowed(cluster: Cluster) -> None:
    wanted = cluster.create(deployment("agent", server(), replicas=2))
    await cluster.until("Deployment", "agent", is_complete)
    changed(cluster, wanted, server(env=[{"name": "WORD", "value": "new"}]))
    lows: list[int] = []

    def done(obj: dict[str, Any]) -> bool:
        lows.append((obj.get("status") or {}).get("availableReplicas", 0))
        return is_complete(obj)

    found = await cluster.until("Deployment", "agent", done)
    assert min(lows) >= 2
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    old, new = sorted(
        cluster.registry.list("ReplicaSet", NAMESPACE), key=lambda each: each["spec"]["replicas"]
    )
    assert (old["spec"]["replicas"], new["spec"]["replicas"]) == (0, 2)


async def test_a_broken_roll_out_keeps_the_old_pods_and_says_when_it_took_too_long(cluster: Cluster) -> None:
    wanted = cluster.create(deployment("agent", server(), progressDeadlineSeconds=1))
    await cluster.until("Deployment", "agent", is_complete)
    changed(cluster, wanted, server() | {"image": "agent:missing"})

    def has_timed_out(obj: dict[str, Any]) -> bool:
        condition = condition_of(obj, "Progressing")
        return condition is not None and condition["reason"] == "ProgressDeadlineExceeded"

    found = await cluster.until("Deployment", "agent", has_timed_out)
    assert has_condition(found, "Available")
    assert found["status"]["availableReplicas"] == 1
    changed(cluster, wanted, server())
    healed = await cluster.until("Deployment", "agent", is_complete)
    assert healed["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"


async def test_recreate_ends_the_old_pods_before_the_new_ones_begin(cluster: Cluster) -> None:
    wanted = cluster.create(deployment("agent", server(), strategy={"type": "Recreate"}))
    await cluster.until("Deployment", "agent", is_complete)
    (before,) = cluster.registry.list("Pod", NAMESPACE)
    changed(cluster, wanted, server(env=[{"name": "WORD", "value": "new"}]))
    await cluster.until("Deployment", "agent", is_complete)
    (after,) = cluster.registry.list("Pod", NAMESPACE)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_a_deleted_pod_is_replaced(cluster: Cluster) -> None:
    cluster.create(deployment("agent", server()))
    await cluster.until("Deployment", "agent", is_complete)
    (before,) = cluster.registry.list("Pod", NAMESPACE)
    cluster.registry.delete("Pod", NAMESPACE, before["metadata"]["name"])
    await cluster.until_all(
        "Pod",
        lambda pods: (
            [is_ready(each) for each in pods] == [True]
            and pods[0]["metadata"]["uid"] != before["metadata"]["uid"]
        ),
    )


async def test_a_deployment_deleted_in_the_background_takes_everything_with_it(cluster: Cluster) -> None:
    cluster.create(deployment("agent", server()))
    await cluster.until("Deployment", "agent", is_complete)
    cluster.registry.delete("Deployment", NAMESPACE, "agent")
    assert cluster.registry.find("Deployment", NAMESPACE, "agent") is None
    await cluster.until_all("Pod", lambda pods: not pods)
    assert cluster.registry.list("ReplicaSet", NAMESPACE) == []


async def test_a_deployment_deleted_in_the_foreground_goes_last(cluster: Cluster) -> None:
    cluster.create(deployment("agent", server()))
    await cluster.until("Deployment", "agent", is_complete)
    cluster.registry.delete("Deployment", NAMESPACE, "agent", propagation="Foreground")
    assert is_leaving(cluster.registry.get("Deployment", NAMESPACE, "agent"))
    await cluster.until_gone("Deployment", "agent")
    assert cluster.registry.list("Pod", NAMESPACE) == []
    assert cluster.registry.list("ReplicaSet", NAMESPACE) == []


async def test_orphans_live_on_and_are_adopted(cluster: Cluster) -> None:
    wanted = deployment("agent", server())
    cluster.create(wanted)
    await cluster.until("Deployment", "agent", is_complete)
    (before,) = cluster.registry.list("Pod", NAMESPACE)
    cluster.registry.delete("Deployment", NAMESPACE, "agent", propagation="Orphan")
    await cluster.until_gone("Deployment", "agent")
    (replica_set,) = cluster.registry.list("ReplicaSet", NAMESPACE)
    assert "ownerReferences" not in replica_set["metadata"]
    cluster.create(wanted)
    await cluster.until("Deployment", "agent", is_complete)
    (after,) = cluster.registry.list("Pod", NAMESPACE)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_a_job_completes(cluster: Cluster) -> None:
    cluster.create(job("once", "print('done')"))
    found = await cluster.until("Job", "once", lambda obj: has_condition(obj, "Complete"))
    status = found["status"]
    assert (status["succeeded"], status.get("active", 0), status.get("failed", 0)) == (1, 0, 0)
    assert status["completionTime"] >= status["startTime"]
    assert has_condition(found, "SuccessCriteriaMet")
    (worker,) = cluster.registry.list("Pod", NAMESPACE, {"batch.kubernetes.io/job-name": "once"})
    assert worker["status"]["phase"] == "Succeeded"


async def test_a_job_gives_up_after_its_last_retry(cluster: Cluster) -> None:
    cluster.create(job("hopeless", "exit(7)", backoffLimit=1))
    found = await cluster.until("Job", "hopeless", lambda obj: has_condition(obj, "Failed"))
    failed = condition_of(found, "Failed")
    assert failed is not None
    assert failed["reason"] == "BackoffLimitExceeded"
    assert found["status"]["failed"] == 2


async def test_a_job_is_stopped_at_its_deadline(cluster: Cluster) -> None:
    cluster.create(job("slow", SLEEPER, activeDeadlineSeconds=1))
    found = await cluster.until("Job", "slow", lambda obj: has_condition(obj, "Failed"))
    failed = condition_of(found, "Failed")
    assert failed is not None
    assert failed["reason"] == "DeadlineExceeded"
    await cluster.until_all("Pod", lambda pods: not pods)


async def test_a_finished_job_goes_when_its_time_is_over(cluster: Cluster) -> None:
    cluster.create(job("brief", "pass", ttlSecondsAfterFinished=0))
    await cluster.until("Job", "brief", lambda _: True)
    await cluster.until_gone("Job", "brief")
    await cluster.until_all("Pod", lambda pods: not pods)


def cron_job(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "pipeline", "namespace": NAMESPACE},
        "spec": {
            "schedule": "@every 1s",
            "concurrencyPolicy": "Forbid",
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "suspend": False,
            "jobTemplate": {"metadata": {"labels": {"team": "x"}}, "spec": job("x", "print('ran')")["spec"]},
            **spec,
        },
    }


async def test_a_cron_job_starts_jobs_and_keeps_its_history_short(cluster: Cluster) -> None:
    cluster.create(cron_job())
    found = await cluster.until(
        "CronJob", "pipeline", lambda obj: (obj.get("status") or {}).get("lastSuccessfulTime")
    )
    scheduled = datetime.fromisoformat(found["status"]["lastScheduleTime"])
    (started,) = cluster.registry.list("Job", NAMESPACE)
    assert started["metadata"]["name"] == f"pipeline-{int(scheduled.timestamp()) // 60}"
    assert started["metadata"]["labels"]["team"] == "x"


async def test_a_suspended_cron_job_starts_nothing_but_one_by_hand(cluster: Cluster) -> None:
    made = cluster.create(cron_job(suspend=True))
    by_hand = job("by-hand", "print('ran')")
    by_hand["metadata"] |= {
        "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
        "ownerReferences": [
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "name": "pipeline",
                "uid": made["metadata"]["uid"],
                "controller": True,
            }
        ],
    }
    cluster.create(by_hand)
    found = await cluster.until(
        "CronJob", "pipeline", lambda obj: (obj.get("status") or {}).get("lastSuccessfulTime")
    )
    assert "lastScheduleTime" not in found["status"]
    assert [each["metadata"]["name"] for each in cluster.registry.list("Job", NAMESPACE)] == ["by-hand"]
    cluster.registry.delete("CronJob", NAMESPACE, "pipeline")
    await cluster.until_all("Job", lambda jobs: not jobs)
    await cluster.until_all("Pod", lambda pods: not pods)


def service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": name}, "ports": ports, **spec},
    }


async def test_endpoints_follow_the_ready_pods(cluster: Cluster) -> None:
    cluster.create(service("web"))
    cluster.create(pod("web", server()))
    found = await cluster.until(
        "Endpoints", "web", lambda obj: any("addresses" in each for each in obj.get("subsets") or [])
    )
    (subset,) = found["subsets"]
    address = cluster.registry.get("Pod", NAMESPACE, "web")["status"]["podIP"]
    assert [each["ip"] for each in subset["addresses"]] == [address]
    assert subset["ports"] == [{"name": "http", "port": 8000, "protocol": "TCP"}]
    cluster.registry.delete("Pod", NAMESPACE, "web")
    await cluster.until("Endpoints", "web", lambda obj: not obj.get("subsets"))
    cluster.registry.delete("Service", NAMESPACE, "web")
    await cluster.until_gone("Endpoints", "web")


async def test_a_budget_counts_the_pods_that_may_go(cluster: Cluster) -> None:
    cluster.create(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "agent", "namespace": NAMESPACE},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "agent"}}},
        }
    )
    cluster.create(deployment("agent", server(), replicas=2))
    found = await cluster.until(
        "PodDisruptionBudget", "agent", lambda obj: (obj.get("status") or {}).get("currentHealthy") == 2
    )
    status = found["status"]
    assert (status["desiredHealthy"], status["disruptionsAllowed"], status["expectedPods"]) == (1, 1, 2)


async def test_a_deleted_namespace_is_emptied_and_goes(cluster: Cluster) -> None:
    name = "incidentfox-extend-x"
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    wanted = deployment("agent", server())
    wanted["metadata"]["namespace"] = name
    cluster.create(wanted)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": name}}
    cluster.create(config)
    held = {**config, "metadata": {"name": "held", "namespace": name, "finalizers": ["example.com/hold"]}}
    cluster.create(held)
    cluster.registry.delete("Namespace", None, name)

    def says_what_holds(obj: dict[str, Any] | None) -> bool:
        condition = condition_of(obj, "NamespaceFinalizersRemaining") if obj is not None else None
        return condition is not None and "example.com/hold in 1 resource instances" in condition["message"]

    async for _ in cluster.registry.watch(["Namespace"]):
        if says_what_holds(cluster.registry.find("Namespace", None, name)):
            break
    cluster.registry.remove_finalizer("ConfigMap", name, "held", "example.com/hold")
    await cluster.until_gone("Namespace", name, None)
    assert cluster.registry.list("Pod", name) == []


async def test_every_namespace_has_a_service_account(cluster: Cluster) -> None:
    await cluster.until("ServiceAccount", "default", lambda _: True)
    cluster.registry.delete("ServiceAccount", NAMESPACE, "default")
    await cluster.until("ServiceAccount", "default", lambda _: True)


async def test_a_quota_tells_its_use_and_a_deployment_says_what_it_is_refused(cluster: Cluster) -> None:
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "small", "namespace": NAMESPACE},
            "spec": {"hard": {"pods": "1", "requests.cpu": "1"}},
        }
    )
    agent = server(resources={"requests": {"cpu": "300m"}})
    cluster.create(deployment("agent", agent, replicas=2))
    found = await cluster.until("Deployment", "agent", lambda obj: has_condition(obj, "ReplicaFailure"))
    failure = condition_of(found, "ReplicaFailure")
    assert failure is not None
    assert "exceeded quota: small" in failure["message"]
    quota = await cluster.until(
        "ResourceQuota", "small", lambda obj: (obj.get("status") or {}).get("used", {}).get("pods") == "1"
    )
    assert quota["status"]["used"] == {"pods": "1", "requests.cpu": "300m"}
    live = cluster.registry.get("ResourceQuota", NAMESPACE, "small")
    wider = {"hard": {"pods": "2", "requests.cpu": "1"}}
    cluster.registry.update({**live, "spec": wider}, manager="test")
    await cluster.until(
        "Deployment", "agent", lambda obj: is_complete(obj) and not condition_of(obj, "ReplicaFailure")
    )
