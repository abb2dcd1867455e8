"""What all of a team's objects have in common: labels, metadata, and what a pod may do."""

from typing import Any, NamedTuple

from orchestrator.domain.manifests.platform import Platform
from orchestrator.domain.team import Dedicated, Isolation, Mode, Sla, TeamKey, TeamNames, TeamSpec

#: One Kubernetes object as plain JSON, without nulls, as server-side apply takes it.
Manifest = dict[str, Any]

MANAGED_BY = "orchestrator"
PART_OF = "incidentfox"

ORG_LABEL = "incidentfox.io/org-id"
TEAM_LABEL = "incidentfox.io/team-node-id"
COMPONENT_LABEL = "app.kubernetes.io/component"

AGENT_COMPONENT = "agent"
PIPELINE_COMPONENT = "pipeline"
SECRET_COMPONENT = "credentials"  # noqa: S105 - the name of a label's value
ISOLATION_COMPONENT = "isolation"

#: Of the images' own user; any other than root will do.
_USER_ID = 10001

TOKEN_DIRECTORY = "/var/run/secrets/incidentfox"  # noqa: S105 - where the token is, not what it is
TOKEN_KEY = "token"  # noqa: S105 - the name of the Secret's key
_OWNER_AND_GROUP_READ = 0o440

#: A guaranteed team survives the loss of a node.
_GUARANTEED_REPLICAS = 2


class Component(NamedTuple):
    """One part of a team: what its objects are labelled and selected by."""

    #: The program, as `app.kubernetes.io/name`.
    name: str
    #: The object that names this installation of it, as `app.kubernetes.io/instance`.
    instance: str
    #: Its part in the team, as `app.kubernetes.io/component`.
    component: str


def agent_component(names: TeamNames) -> Component:
    """The dedicated agent."""
    return Component("agent-dedicated", names.agent, AGENT_COMPONENT)


def pipeline_component(names: TeamNames) -> Component:
    """The AI pipeline."""
    return Component("ai-pipeline", names.pipeline, PIPELINE_COMPONENT)


def labels(key: TeamKey, of: Component) -> dict[str, str]:
    """What every object carries."""
    return {
        "app.kubernetes.io/name": of.name,
        "app.kubernetes.io/instance": of.instance,
        COMPONENT_LABEL: of.component,
        "app.kubernetes.io/part-of": PART_OF,
        "app.kubernetes.io/managed-by": MANAGED_BY,
        ORG_LABEL: key.org_id,
        TEAM_LABEL: key.team_node_id,
    }


def selector(key: TeamKey, component: str) -> dict[str, str]:
    """The labels that select one team's pods; by the exact ids, as names may be cut."""
    return {ORG_LABEL: key.org_id, TEAM_LABEL: key.team_node_id, COMPONENT_LABEL: component}


def metadata(name: str, namespace: str, key: TeamKey, of: Component) -> Manifest:
    """The metadata of an object in a namespace."""
    return {"name": name, "namespace": namespace, "labels": labels(key, of)}


def dedicated(spec: TeamSpec) -> Dedicated | None:
    """How the team's own agent runs; `None` when the shared one serves it."""
    if spec.deployment_mode is not Mode.DEDICATED:
        return None
    return spec.dedicated or Dedicated()


def replicas(wanted: Dedicated) -> tuple[int, int]:
    """The fewest and the most replicas that the agent runs with."""
    least = _GUARANTEED_REPLICAS if wanted.sla is Sla.GUARANTEED else 1
    if wanted.autoscaling is None:
        fixed = max(wanted.replicas, least)
        return fixed, fixed
    lowest = max(wanted.autoscaling.min_replicas, least)
    return lowest, max(wanted.autoscaling.max_replicas, lowest)


def has_own_namespace(spec: TeamSpec) -> bool:
    """Whether the team lives in a namespace of its own."""
    wanted = dedicated(spec)
    return wanted is not None and wanted.isolation is Isolation.NAMESPACE


def object_namespace(spec: TeamSpec, names: TeamNames, platform: Platform) -> str:
    """The namespace that the team's objects live in."""
    return names.namespace if has_own_namespace(spec) else platform.namespace


def needs_secret(spec: TeamSpec) -> bool:
    """Whether the team has pods of its own, which carry its credential."""
    return spec.deployment_mode is Mode.DEDICATED or spec.pipeline_schedule is not None


def service_account(name: str, namespace: str, key: TeamKey, of: Component) -> Manifest:
    """An account without rights, whose token no pod is given."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(name, namespace, key, of),
        "automountServiceAccountToken": False,
    }


def environment(key: TeamKey, platform: Platform) -> list[Manifest]:
    """The variables that each program of a team finds."""
    return [
        {"name": "CONFIG_SERVICE_URL", "value": platform.config_service_url},
        {"name": "ORG_ID", "value": key.org_id},
        {"name": "TEAM_NODE_ID", "value": key.team_node_id},
        {"name": "TEAM_TOKEN_FILE", "value": f"{TOKEN_DIRECTORY}/{TOKEN_KEY}"},
    ]


def pod(account: str, names: TeamNames, container: Manifest) -> Manifest:
    """A pod's spec under the `restricted` Pod Security Standard, with the team's credential as a file."""
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        # The variables would tell each tenant the addresses of all others.
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER_ID,
            "runAsGroup": _USER_ID,
            "fsGroup": _USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                **container,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True,
                },
                "volumeMounts": [
                    {"name": "credentials", "mountPath": TOKEN_DIRECTORY, "readOnly": True},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own volume
                ],
            }
        ],
        "volumes": [
            {
                "name": "credentials",
                "secret": {
                    "secretName": names.secret,
                    "defaultMode": _OWNER_AND_GROUP_READ,
                    "items": [{"key": TOKEN_KEY, "path": TOKEN_KEY}],
                },
            },
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        ],
    }
