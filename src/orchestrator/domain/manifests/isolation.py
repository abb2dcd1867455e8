"""What keeps tenants apart: network policies, and for whoever asks a namespace with its own bounds."""

from collections.abc import Mapping

from orchestrator.domain import egress, quantities
from orchestrator.domain.manifests import agent, common, pipeline
from orchestrator.domain.manifests.common import Component, Manifest
from orchestrator.domain.manifests.platform import Platform
from orchestrator.domain.team import Dedicated, TeamKey, TeamNames, TeamSpec

#: The version whose `restricted` standard these pods were written for; a newer one does not surprise them.
_POD_SECURITY_VERSION = "v1.36"

#: One on schedule, one by hand.
_PIPELINE_PODS = 2

_HTTPS = {"protocol": "TCP", "port": 443}


def _component(names: TeamNames) -> Component:
    return Component("incidentfox", names.namespace, common.ISOLATION_COMPONENT)


def namespace(key: TeamKey, names: TeamNames) -> Manifest:
    """The team's own namespace; pods beneath the `restricted` standard are refused in it."""
    standard = {
        f"pod-security.kubernetes.io/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", "restricted"), ("-version", _POD_SECURITY_VERSION))
    }
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": names.namespace,
            "labels": {**common.labels(key, _component(names)), **standard},
        },
    }


def resource_quota(key: TeamKey, spec: TeamSpec, wanted: Dedicated, names: TeamNames) -> Manifest:
    """How much there may be in the team's namespace, with room for a roll-out.

    Pods are counted here, and what each may use is bounded by the LimitRange. CPU and memory are not summed
    up as well: after a change to smaller pods the larger ones that still run would fill the new quota, no new
    pod could start, and as no old one stops before that, the roll-out would never end.
    """
    _, most = common.replicas(wanted)
    has_pipeline = spec.pipeline_schedule is not None
    # A roll-out starts one more, and replaced pods count until they have gone.
    pods = 2 * most + 1 + (_PIPELINE_PODS if has_pipeline else 0)
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": common.metadata(names.agent, names.namespace, key, _component(names)),
        "spec": {
            "hard": {
                "pods": str(pods),
                "persistentvolumeclaims": "0",
                "services.loadbalancers": "0",
                "services.nodeports": "0",
            }
        },
    }


def limit_range(
    key: TeamKey, spec: TeamSpec, wanted: Dedicated, names: TeamNames, platform: Platform
) -> Manifest:
    """What one container in the team's namespace may use, and what it gets when it does not say."""
    of_agent = agent.resources(wanted, platform)
    users = [of_agent] + ([pipeline.resources(platform)] if spec.pipeline_schedule is not None else [])
    basic = ("cpu", "memory")
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": common.metadata(names.agent, names.namespace, key, _component(names)),
        "spec": {
            "limits": [
                {
                    "type": "Container",
                    "max": {
                        name: max((user.limits[name] for user in users), key=quantities.parse)
                        for name in basic
                    },
                    "default": {name: of_agent.limits[name] for name in basic},
                    "defaultRequest": {name: of_agent.requests[name] for name in basic},
                }
            ]
        },
    }


def default_deny(key: TeamKey, names: TeamNames) -> Manifest:
    """Nothing comes into the team's namespace or leaves it unless another policy says so."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": common.metadata("default-deny", names.namespace, key, _component(names)),
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }


def agent_policy(
    key: TeamKey, wanted: Dedicated, names: TeamNames, platform: Platform, namespace: str
) -> Manifest:
    """The orchestrator may ask the agent; the agent may connect to what its team named."""
    peers = [_pods(platform.orchestrator_namespace, platform.orchestrator_labels)]
    peers += [{"ipBlock": {"cidr": cidr}} for cidr in platform.extra_ingress_cidrs]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": common.metadata(names.agent, namespace, key, common.agent_component(names)),
        "spec": {
            "podSelector": {"matchLabels": common.selector(key, common.AGENT_COMPONENT)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": peers, "ports": [{"protocol": "TCP", "port": agent.PORT}]}],
            "egress": _egress(wanted, platform),
        },
    }


def pipeline_policy(
    key: TeamKey, wanted: Dedicated, names: TeamNames, platform: Platform, namespace: str
) -> Manifest:
    """Nobody may ask the pipeline; it may connect to what its team named."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": common.metadata(names.pipeline, namespace, key, common.pipeline_component(names)),
        "spec": {
            "podSelector": {"matchLabels": common.selector(key, common.PIPELINE_COMPONENT)},
            "policyTypes": ["Ingress", "Egress"],
            "egress": _egress(wanted, platform),
        },
    }


def _egress(wanted: Dedicated, platform: Platform) -> list[Manifest]:
    config_service = (
        [{"ipBlock": {"cidr": cidr}} for cidr in platform.config_service_cidrs]
        if platform.config_service_cidrs
        else [_pods(platform.config_service_namespace, platform.config_service_labels)]
    )
    rules: list[Manifest] = [
        {
            "to": [_pods(platform.dns_namespace, platform.dns_labels)],
            "ports": [{"protocol": protocol, "port": platform.dns_port} for protocol in ("UDP", "TCP")],
        },
        {"to": config_service, "ports": [{"protocol": "TCP", "port": platform.config_service_port}]},
    ]
    cidrs = egress.ANYWHERE if wanted.egress_cidrs is None else wanted.egress_cidrs
    # A rule without peers would let the pods go anywhere.
    if cidrs:
        rules.append({"to": [{"ipBlock": egress.ip_block(cidr)} for cidr in cidrs], "ports": [_HTTPS]})
    return rules


def _pods(in_namespace: str, with_labels: Mapping[str, str]) -> Manifest:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": in_namespace}},
        "podSelector": {"matchLabels": dict(with_labels)},
    }
