"""Job: pods until enough of them have succeeded."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from devcluster.controllers.replicasets import is_active
from devcluster.controllers.verdicts import Ended, JobCounts, JobRules, decide
from devcluster.controllers.world import World
from devcluster.metadata import (
    Ref,
    condition_of,
    controlled_by,
    controller_of,
    has_condition,
    is_leaving,
    parse_time,
    ref_of,
    uid_of,
    with_condition,
)
from devcluster.objects import Object, timestamp

#: Pause before a failed pod is replaced, doubling from the first to the longest.
_FIRST_RETRY = timedelta(seconds=1)
_LONGEST_RETRY = timedelta(seconds=60)
#: The condition that says how a Job will end while its last pods still stop, and the one when they have.
_TARGETS = {True: ("SuccessCriteriaMet", "Complete"), False: ("FailureTarget", "Failed")}


def has_finished(job: Object) -> bool:
    """Whether the Job is over, well or badly."""
    return has_condition(job, "Complete") or has_condition(job, "Failed")


def pod_labels(job: Object) -> Mapping[str, str]:
    """The labels by which a Job's pods are found."""
    name, uid = job["metadata"]["name"], uid_of(job)
    return {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }


class Jobs:
    """Runs the pods of each Job."""

    kinds = ("Job", "Pod")

    def __init__(self, world: World) -> None:
        self._world = world

    def wakes(self, obj: Object, *, gone: bool) -> Iterator[Ref]:  # noqa: ARG002 - every event is alike here
        """The Job itself, or the one that controls the pod."""
        if obj["kind"] == "Job":
            yield ref_of(obj)
        elif (owner := controller_of(obj)) is not None and owner["kind"] == "Job":
            yield Ref("Job", obj["metadata"]["namespace"], owner["name"])

    def reconcile(self, ref: Ref) -> datetime | None:
        """Start or stop pods, then report."""
        job = self._world.find(ref)
        if job is None or is_leaving(job):
            return None
        if has_finished(job):
            return self._expire(job)
        now = self._world.now()
        pods = self._world.dependents(job, "Pod")
        status: dict[str, Any] = dict(job.get("status") or {})
        if not job["spec"].get("suspend"):
            status.setdefault("startTime", timestamp(now))
        verdict = _target_of(job) or decide(_rules(job), _counts(job, pods, status), now)
        if isinstance(verdict, Ended):
            return self._end(job, pods, status, verdict)
        try:
            self._scale(job, pods, verdict.active)
        finally:
            self._report(job, status, _suspension(job, now))
        return verdict.again

    def _scale(self, job: Object, pods: Sequence[Object], wanted: int) -> None:
        active = [pod for pod in pods if is_active(pod)]
        for pod in active[wanted:]:
            self._world.delete(pod)
        for _ in range(wanted - len(active)):
            self._world.create(_new_pod(job))

    def _end(
        self, job: Object, pods: Sequence[Object], status: dict[str, Any], verdict: Ended
    ) -> datetime | None:
        """Stop what still runs, and when nothing does, say how the Job has ended."""
        now = self._world.now()
        active = [pod for pod in pods if is_active(pod)]
        if not verdict.succeeded:
            status["failed"] = max(status.get("failed", 0), _ended(pods, "Failed") + len(active))
        for pod in active:
            self._world.delete(pod)
        pods = self._world.dependents(job, "Pod")
        stopping = [
            pod for pod in pods if (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}
        ]
        target, final = _TARGETS[verdict.succeeded]
        conditions = status.get("conditions") or []
        facts = {"status": "True", "reason": verdict.reason, "message": verdict.message}
        for kind in [target] if stopping else [target, final]:
            old = next((each for each in conditions if each["type"] == kind), None)
            probed = old["lastProbeTime"] if old is not None else timestamp(now)
            conditions = with_condition(conditions, {"type": kind, **facts, "lastProbeTime": probed}, now)
        if verdict.succeeded and not stopping:
            status["completionTime"] = timestamp(now)
        self._report(job, status, conditions)
        return self._expire(job) if not stopping else None

    def _report(self, job: Object, status: dict[str, Any], conditions: Sequence[Object]) -> None:
        """Write the status with the counts of this moment."""
        pods = self._world.dependents(job, "Pod")
        active = [pod for pod in pods if is_active(pod)]
        counts = {
            "active": len(active),
            "ready": sum(has_condition(pod, "Ready") for pod in active),
            # What has been counted stays counted when the pod is cleaned up.
            "succeeded": max(status.get("succeeded", 0), _ended(pods, "Succeeded")),
            "failed": max(status.get("failed", 0), _ended(pods, "Failed")),
            "terminating": sum(is_leaving(pod) for pod in pods),
        }
        status = {name: value for name, value in status.items() if name not in {*counts, "conditions"}}
        status |= {name: count for name, count in counts.items() if count}
        if conditions:
            status["conditions"] = list(conditions)
        self._world.report(job, status | {"ready": counts["ready"], "terminating": counts["terminating"]})

    def _expire(self, job: Object) -> datetime | None:
        """Delete a finished Job when its time to live is over."""
        job = self._world.find(ref_of(job)) or job
        ttl_s = job["spec"].get("ttlSecondsAfterFinished")
        condition = next((c for kind in ("Complete", "Failed") if (c := condition_of(job, kind))), None)
        if ttl_s is None or condition is None:
            return None
        over = parse_time(condition["lastTransitionTime"]) + timedelta(seconds=ttl_s)
        if over > self._world.now():
            return over
        self._world.delete(job, propagation="Foreground")
        return None


def _rules(job: Object) -> JobRules:
    spec = job["spec"]
    deadline_s = spec.get("activeDeadlineSeconds")
    return JobRules(
        completions=spec.get("completions"),
        parallelism=spec.get("parallelism", 1),
        backoff_limit=spec.get("backoffLimit", 6),
        deadline=None if deadline_s is None else timedelta(seconds=deadline_s),
        suspended=bool(spec.get("suspend")),
    )


def _counts(job: Object, pods: Sequence[Object], status: Object) -> JobCounts:
    failed = max(status.get("failed", 0), _ended(pods, "Failed"))
    retries = job["spec"]["template"]["spec"].get("restartPolicy") == "OnFailure"
    return JobCounts(
        active=sum(is_active(pod) for pod in pods),
        succeeded=max(status.get("succeeded", 0), _ended(pods, "Succeeded")),
        failed=failed,
        restarts=sum(_restarts(pod) for pod in pods) if retries else 0,
        started=parse_time(status["startTime"]) if "startTime" in status else None,
        retry_at=_retry_at(pods, failed),
    )


def _retry_at(pods: Sequence[Object], failed: int) -> datetime | None:
    ends = [
        parse_time(each["state"]["terminated"]["finishedAt"])
        for pod in pods
        if (pod.get("status") or {}).get("phase") == "Failed"
        for each in pod["status"].get("containerStatuses") or []
        if "terminated" in each["state"]
    ]
    if not ends or not failed:
        return None
    return max(ends) + min(_FIRST_RETRY * (1 << min(failed - 1, 10)), _LONGEST_RETRY)


def _restarts(pod: Object) -> int:
    return sum(each["restartCount"] for each in (pod.get("status") or {}).get("containerStatuses") or [])


def _ended(pods: Sequence[Object], phase: str) -> int:
    return sum((pod.get("status") or {}).get("phase") == phase for pod in pods)


def _target_of(job: Object) -> Ended | None:
    """How the Job is going to end, if that was decided before."""
    for succeeded, (target, _) in _TARGETS.items():
        condition = condition_of(job, target)
        if condition is not None:
            return Ended(succeeded=succeeded, reason=condition["reason"], message=condition["message"])
    return None


def _suspension(job: Object, now: datetime) -> list[Object]:
    conditions = (job.get("status") or {}).get("conditions") or []
    if job["spec"].get("suspend"):
        word = {"status": "True", "reason": "JobSuspended", "message": "Job suspended"}
    elif condition_of(job, "Suspended") is not None:
        word = {"status": "False", "reason": "JobResumed", "message": "Job resumed"}
    else:
        return conditions
    old = condition_of(job, "Suspended")
    probed = old["lastProbeTime"] if old is not None else timestamp(now)
    return with_condition(conditions, {"type": "Suspended", **word, "lastProbeTime": probed}, now)


def _new_pod(job: Object) -> Object:
    template = job["spec"]["template"]
    meta = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{job['metadata']['name']}-",
            "namespace": job["metadata"]["namespace"],
            "labels": {**(meta.get("labels") or {}), **pod_labels(job)},
            **({"annotations": meta["annotations"]} if meta.get("annotations") else {}),
            "ownerReferences": [controlled_by(job)],
        },
        "spec": template["spec"],
    }
