"""The rules of every kind, as the API server checks them before it stores anything."""

from collections.abc import Callable, Mapping

from devcluster.errors import Cause, Invalid
from devcluster.kinds import ResourceType
from devcluster.objects import Object
from devcluster.validation import configuration, networking, pods, policies, workloads
from devcluster.validation.names import check_metadata
from devcluster.validation.report import Report

Check = Callable[[Report, Object], None]

_RULES: Mapping[str, Check] = {
    "ConfigMap": configuration.check_config_map,
    "CronJob": workloads.check_cron_job,
    "Deployment": workloads.check_deployment,
    "Event": configuration.check_event,
    "HorizontalPodAutoscaler": policies.check_autoscaler,
    "Job": workloads.check_job,
    "Lease": configuration.check_lease,
    "LimitRange": policies.check_limit_range,
    "NetworkPolicy": networking.check_network_policy,
    "Pod": pods.check_pod,
    "PodDisruptionBudget": policies.check_disruption_budget,
    "PriorityClass": policies.check_priority_class,
    "ReplicaSet": workloads.check_replicated,
    "ResourceQuota": policies.check_quota,
    "Role": configuration.check_role,
    "RoleBinding": configuration.check_role_binding,
    "Secret": configuration.check_secret,
    "Service": networking.check_service,
}
_CHANGE_RULES: Mapping[str, Callable[[Report, Object, Object], None]] = {
    "ConfigMap": configuration.check_config_map_update,
    "Deployment": workloads.check_replicated_update,
    "Job": workloads.check_job_update,
    "Pod": pods.check_pod_update,
    "PriorityClass": policies.check_priority_class_update,
    "ReplicaSet": workloads.check_replicated_update,
    "RoleBinding": configuration.check_role_binding_update,
    "Secret": configuration.check_secret_update,
    "Service": networking.check_service_update,
}


def validate(
    resource_type: ResourceType, obj: Object, live: Object | None, *, check: Check | None = None
) -> None:
    """Refuse an object, or a change of one, that breaks the rules of its kind.

    Args:
        resource_type: the type of the object.
        obj: the object with its defaults.
        live: what it replaces; None for a new one.
        check: rules in place of those of the kind.

    Raises:
        Invalid: with every broken rule.
    """
    report = Report()
    check_metadata(report, resource_type, obj)
    change_rule = _CHANGE_RULES.get(resource_type.kind)
    if live is not None and change_rule:
        change_rule(report, obj, live)
    rule = check or _RULES.get(resource_type.kind)
    if rule:
        rule(report, obj)
    if report.causes:
        raise invalid(resource_type, obj["metadata"]["name"], report.causes)


def invalid(resource_type: ResourceType, name: str, causes: list[Cause]) -> Invalid:
    """The refusal of an object."""
    return Invalid.of(group=resource_type.group, kind=resource_type.kind, name=name, causes=causes)
