"""CronJob: a Job whenever the schedule says so."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from devcluster.controllers.jobs import has_finished
from devcluster.controllers.schedules import Schedule
from devcluster.controllers.world import World
from devcluster.errors import AlreadyExists
from devcluster.metadata import (
    Ref,
    controlled_by,
    controller_of,
    created_at,
    has_condition,
    is_leaving,
    parse_time,
    ref_of,
    uid_of,
)
from devcluster.objects import Object, timestamp

_INSTANTIATE = "cronjob.kubernetes.io/instantiate"
_SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"


class CronJobs:
    """Starts the Jobs of each CronJob, and cleans up after them."""

    kinds = ("CronJob", "Job")

    def __init__(self, world: World) -> None:
        self._world = world

    def wakes(self, obj: Object, *, gone: bool) -> Iterator[Ref]:  # noqa: ARG002 - every event is alike here
        """The CronJob itself, or the one that controls the Job."""
        if obj["kind"] == "CronJob":
            yield ref_of(obj)
        elif (owner := controller_of(obj)) is not None and owner["kind"] == "CronJob":
            yield Ref("CronJob", obj["metadata"]["namespace"], owner["name"])

    def reconcile(self, ref: Ref) -> datetime | None:
        """Start what is due, remove old Jobs, report."""
        cron_job = self._world.find(ref)
        if cron_job is None:
            return None
        spec = cron_job["spec"]
        if is_leaving(cron_job):
            self._report(cron_job, last=None)
            return None
        self._drop_history(cron_job)
        if spec.get("suspend"):
            self._report(cron_job, last=None)
            return None
        schedule = Schedule.parse(spec["schedule"], spec.get("timeZone"))
        now, since = self._world.now(), _looked_at_until(cron_job)
        due = schedule.last_until(now, since)
        last = self._start(cron_job, due) if due is not None and not _too_late(spec, due, now) else None
        self._report(cron_job, last=last)
        return schedule.first_after(now if schedule.interval is None else (last or due or since))

    def _start(self, cron_job: Object, due: datetime) -> datetime | None:
        """Start the Job that is due, unless the one before still runs and has precedence; when it was due."""
        active = _active(self._jobs(cron_job))
        policy = cron_job["spec"].get("concurrencyPolicy", "Allow")
        if active and policy == "Forbid":
            return None
        if policy == "Replace":
            for job in active:
                self._world.delete(job)
        try:
            self._world.create(_new_job(cron_job, due))
        except AlreadyExists:
            # Made before a restart, which came before the status was written.
            return due
        return due

    def _jobs(self, cron_job: Object) -> list[Object]:
        uid = uid_of(cron_job)
        found = self._world.dependents(cron_job, "Job")
        return [job for job in found if (controller_of(job) or {}).get("uid") == uid]

    def _drop_history(self, cron_job: Object) -> None:
        jobs, spec = [job for job in self._jobs(cron_job) if not is_leaving(job)], cron_job["spec"]
        for kind, limit in (
            ("Complete", spec.get("successfulJobsHistoryLimit", 3)),
            ("Failed", spec.get("failedJobsHistoryLimit", 1)),
        ):
            ended = sorted((job for job in jobs if has_condition(job, kind)), key=_age)
            for job in ended[: max(0, len(ended) - limit)]:
                self._world.delete(job)

    def _report(self, cron_job: Object, *, last: datetime | None) -> None:
        status: dict[str, Any] = dict(cron_job.get("status") or {})
        jobs = self._jobs(cron_job)
        status.pop("active", None)
        active = [
            {
                "apiVersion": job["apiVersion"],
                "kind": "Job",
                "namespace": job["metadata"]["namespace"],
                "name": job["metadata"]["name"],
                "uid": uid_of(job),
                "resourceVersion": job["metadata"]["resourceVersion"],
            }
            for job in _active(jobs)
        ]
        if active:
            status["active"] = _without_news(active, (cron_job.get("status") or {}).get("active") or [])
        if last is not None:
            status["lastScheduleTime"] = timestamp(last)
        ends = [job["status"]["completionTime"] for job in jobs if has_condition(job, "Complete")]
        latest = max(
            [*ends, *([status["lastSuccessfulTime"]] if "lastSuccessfulTime" in status else [])], default=None
        )
        if latest is not None:
            status["lastSuccessfulTime"] = latest
        self._world.report(cron_job, status)


def _without_news(active: Sequence[Object], before: Sequence[Object]) -> list[Object]:
    """The references, each as it was first written: a Job that merely changes is no news."""
    known = {each["uid"]: each for each in before}
    return [known.get(each["uid"], each) for each in active]


def _active(jobs: Sequence[Object]) -> list[Object]:
    """The Jobs of the schedule that are not over; one started by hand does not count, as in Kubernetes."""
    return [
        job
        for job in jobs
        if not has_finished(job)
        and not is_leaving(job)
        and _INSTANTIATE not in (job["metadata"].get("annotations") or {})
    ]


def _looked_at_until(cron_job: Object) -> datetime:
    last = (cron_job.get("status") or {}).get("lastScheduleTime")
    return parse_time(last) if last else created_at(cron_job)


def _too_late(spec: Object, due: datetime, now: datetime) -> bool:
    seconds = spec.get("startingDeadlineSeconds")
    return seconds is not None and due + timedelta(seconds=seconds) < now


def _age(job: Object) -> datetime:
    started = (job.get("status") or {}).get("startTime")
    return parse_time(started) if started else created_at(job)


def _new_job(cron_job: Object, due: datetime) -> Object:
    template, meta = cron_job["spec"]["jobTemplate"], cron_job["metadata"]
    given = template.get("metadata") or {}
    zone = ZoneInfo(cron_job["spec"].get("timeZone") or "UTC")
    scheduled = due.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{meta['name']}-{int(due.timestamp()) // 60}",
            "namespace": meta["namespace"],
            **({"labels": given["labels"]} if given.get("labels") else {}),
            "annotations": {**(given.get("annotations") or {}), _SCHEDULED_AT: scheduled},
            "ownerReferences": [controlled_by(cron_job)],
        },
        "spec": template["spec"],
    }
