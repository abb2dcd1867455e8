"""Deployments, ReplicaSets, Jobs and CronJobs."""

import zoneinfo
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from devcluster.cron import BadSchedule, check_schedule
from devcluster.objects import Object
from devcluster.selectors import matches_selector
from devcluster.validation.names import check_selector
from devcluster.validation.pods import check_template
from devcluster.validation.report import Report

_ZONE_RULE = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
_IMMUTABLE = "field is immutable"


def check_replicated(report: Report, obj: Object) -> None:
    """What Deployments and ReplicaSets share: replicas, selector and template."""
    spec = obj.get("spec", {})
    report.not_negative("spec.replicas", spec.get("replicas"))
    report.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    selector = spec.get("selector")
    if selector is None:
        report.required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        report.invalid("spec.selector", selector, "empty selector is invalid for deployment")
    else:
        check_selector(report, selector, "spec.selector")
    template = spec.get("template", {})
    labels = template.get("metadata", {}).get("labels", {})
    if selector and not matches_selector(labels, selector):
        report.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    check_template(report, template, "spec.template")
    policy = template.get("spec", {}).get("restartPolicy")
    if policy != "Always":
        report.unsupported("spec.template.spec.restartPolicy", policy, ("Always",))


def check_deployment(report: Report, obj: Object) -> None:
    """A Deployment."""
    check_replicated(report, obj)
    spec = obj.get("spec", {})
    strategy = spec.get("strategy", {})
    if strategy.get("type") not in {"Recreate", "RollingUpdate"}:
        report.unsupported("spec.strategy.type", strategy.get("type"), ("Recreate", "RollingUpdate"))
    if strategy.get("type") == "Recreate" and "rollingUpdate" in strategy:
        detail = "may not be specified when strategy `type` is 'Recreate'"
        report.forbidden("spec.strategy.rollingUpdate", detail)
    report.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    report.not_negative("spec.progressDeadlineSeconds", deadline)
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        report.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def check_replicated_update(report: Report, obj: Object, live: Object) -> None:
    """The selector stays what it was."""
    selector = obj["spec"].get("selector")
    if selector != live["spec"].get("selector"):
        report.invalid("spec.selector", selector, _IMMUTABLE)


def check_job(report: Report, obj: Object) -> None:
    """A Job."""
    _check_job_spec(report, obj.get("spec", {}), "spec")


def check_job_update(report: Report, obj: Object, live: Object) -> None:
    """Selector and completions of a Job stay; so does its template unless the Job is suspended."""
    before, after = live["spec"], obj["spec"]
    for field in ("selector", "completionMode"):
        if before.get(field) != after.get(field):
            report.invalid(f"spec.{field}", after.get(field), _IMMUTABLE)
    if before.get("completions") != after.get("completions") and after.get("completionMode") != "Indexed":
        report.invalid("spec.completions", after.get("completions"), _IMMUTABLE)
    if before.get("template") != after.get("template") and not before.get("suspend"):
        report.invalid("spec.template", after.get("template"), _IMMUTABLE)


def _check_job_spec(report: Report, spec: Mapping[str, Any], field: str) -> None:
    for number in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ):
        report.not_negative(f"{field}.{number}", spec.get(number))
    template = spec.get("template", {})
    check_template(report, template, f"{field}.template")
    policy = template.get("spec", {}).get("restartPolicy")
    if policy in {"Always", "", None}:
        report.required(f"{field}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')


def check_cron_job(report: Report, obj: Object) -> None:
    """A CronJob."""
    spec = obj.get("spec", {})
    schedule = spec.get("schedule", "")
    if not schedule:
        report.required("spec.schedule")
    else:
        try:
            check_schedule(schedule)
        except BadSchedule as error:
            report.invalid("spec.schedule", schedule, str(error))
    if "timeZone" in spec:
        _check_time_zone(report, spec["timeZone"])
    report.not_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    policies = ("Allow", "Forbid", "Replace")
    report.one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), policies)
    report.not_negative("spec.successfulJobsHistoryLimit", spec.get("successfulJobsHistoryLimit"))
    report.not_negative("spec.failedJobsHistoryLimit", spec.get("failedJobsHistoryLimit"))
    _check_job_spec(report, spec.get("jobTemplate", {}).get("spec", {}), "spec.jobTemplate.spec")


def _check_time_zone(report: Report, name: str) -> None:
    field = "spec.timeZone"
    if not name:
        report.invalid(field, name, "timeZone must be nil or non-empty string")
        return
    if name.lower() == "local":
        report.invalid(field, name, _ZONE_RULE)
    if name != "Local" and not _is_known_zone(name):
        report.invalid(field, name, f"unknown time zone {name}")


@lru_cache(maxsize=512)
def _is_known_zone(name: str) -> bool:
    """Whether the time zone database has the name, to the letter, on any file system."""
    return name == "UTC" or name in zoneinfo.available_timezones()
