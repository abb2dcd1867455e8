"""Which fields every kind declares, of which type, and how its lists and maps merge.

Fields and types come from `lightkube-models`, which is generated from Kubernetes' own OpenAPI document. What
those models leave out (list keys, atomic structures, quantities in maps, scalars dropped when zero) is in the
tables below.
"""

import inspect
import re
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

import msgspec
from lightkube.models import (
    apps_v1,
    autoscaling_v2,
    batch_v1,
    coordination_v1,
    core_v1,
    discovery_v1,
    events_v1,
    networking_v1,
    policy_v1,
    rbac_v1,
    scheduling_v1,
)

from devcluster.kinds import ResourceType

_MODULES: Mapping[str, ModuleType] = {
    "": core_v1,
    "apps": apps_v1,
    "autoscaling": autoscaling_v2,
    "batch": batch_v1,
    "coordination.k8s.io": coordination_v1,
    "discovery.k8s.io": discovery_v1,
    "events.k8s.io": events_v1,
    "networking.k8s.io": networking_v1,
    "policy": policy_v1,
    "rbac.authorization.k8s.io": rbac_v1,
    "scheduling.k8s.io": scheduling_v1,
}

#: Lists whose items are told apart by these fields; every other list is replaced as a whole.
_LIST_KEYS: Mapping[str, tuple[str, ...]] = {
    "Container.env": ("name",),
    "Container.ports": ("containerPort", "protocol"),
    "Container.volumeDevices": ("devicePath",),
    "Container.volumeMounts": ("mountPath",),
    "EphemeralContainer.env": ("name",),
    "EphemeralContainer.ports": ("containerPort", "protocol"),
    "EphemeralContainer.volumeDevices": ("devicePath",),
    "EphemeralContainer.volumeMounts": ("mountPath",),
    "ResourceRequirements.claims": ("name",),
    "PodSpec.containers": ("name",),
    "PodSpec.ephemeralContainers": ("name",),
    "PodSpec.hostAliases": ("ip",),
    "PodSpec.imagePullSecrets": ("name",),
    "PodSpec.initContainers": ("name",),
    "PodSpec.resourceClaims": ("name",),
    "PodSpec.schedulingGates": ("name",),
    "PodSpec.topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "PodSpec.volumes": ("name",),
    "PodStatus.conditions": ("type",),
    "PodStatus.podIPs": ("ip",),
    "ObjectMeta.finalizers": (),
    "ObjectMeta.ownerReferences": ("uid",),
    "ServiceSpec.ports": ("port", "protocol"),
    "ServiceStatus.conditions": ("type",),
    "ServiceAccount.secrets": ("name",),
    "DeploymentStatus.conditions": ("type",),
    "ReplicaSetStatus.conditions": ("type",),
    "NamespaceStatus.conditions": ("type",),
    "NodeStatus.addresses": ("type",),
    "NodeStatus.conditions": ("type",),
    "NodeSpec.podCIDRs": (),
    "HorizontalPodAutoscalerStatus.conditions": ("type",),
    "PodDisruptionBudgetStatus.conditions": ("type",),
}
#: Values of list keys that are left out.
KEY_DEFAULTS: Mapping[str, str] = {"protocol": "TCP"}
#: Structures owned and replaced as a whole.
_ATOMIC_STRUCTS = frozenset(
    {
        "LabelSelector", "NodeSelector", "NodeSelectorTerm", "ObjectReference", "LocalObjectReference",
        "SecretReference", "SecretKeySelector", "ConfigMapKeySelector", "ObjectFieldSelector",
        "ResourceFieldSelector", "FileKeySelector", "TypedLocalObjectReference", "ScopeSelector",
        "ScopedResourceSelectorRequirement", "OwnerReference", "Subject", "RoleRef", "ManagedFieldsEntry",
    }
)  # fmt: skip
_ATOMIC_MAPS = frozenset({"PodSpec.nodeSelector", "ServiceSpec.selector"})
_QUANTITY_MAPS = frozenset(
    {
        "requests", "limits", "hard", "used", "capacity", "allocatable", "default", "defaultRequest", "max",
        "min", "maxLimitRequestRatio", "overhead", "allocatedResources",
    }
)  # fmt: skip
_BYTES_MAPS = frozenset({"Secret.data", "ConfigMap.binaryData"})
#: Optional texts that stay when empty, because Go holds them behind a pointer.
_POINTER_TEXTS = frozenset(
    {"CronJobSpec.timeZone", "LeaseSpec.holderIdentity", "PersistentVolumeClaimSpec.storageClassName"}
)
#: Optional numbers and switches that Go does not hold behind a pointer: zero is the same as absent.
_DROPPED_ZEROS = frozenset(
    {
        "hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "paused",
        "publishNotReadyAddresses", "globalDefault", "nodePort", "hostPort", "minReadySeconds",
        "initialDelaySeconds", "periodSeconds",
        "timeoutSeconds", "successThreshold", "failureThreshold", "readOnly", "healthCheckNodePort",
        "unschedulable", "observedGeneration", "updatedReplicas", "readyReplicas", "availableReplicas",
        "unavailableReplicas", "fullyLabeledReplicas", "active", "succeeded", "failed", "count", "generation",
    }
)  # fmt: skip
_DROPPED_ZERO_FIELDS = frozenset({"DeploymentStatus.replicas"})

_OPTIONAL = re.compile(r"^Optional\[(.*)\]$")
_LIST = re.compile(r"^List\[(.*)\]$")
_SCALARS = {
    "str": "string", "int": "int", "bool": "bool", "float": "float", "dict": "map", "Quantity": "quantity",
    "IntOrString": "intstr", "Time": "time", "MicroTime": "microtime",
    "FieldsV1": "any", "RawExtension": "any",
}  # fmt: skip


class FieldType:
    """The type of one value.

    Attributes:
        kind: struct, map, list, or a scalar: string, int, bool, float, quantity, intstr, time, microtime,
            bytes, any.
        name: the model's name for a struct.
        fields: the fields of a struct by JSON name.
        item: the type of a map's values or a list's items.
        keys: the fields that tell a list's items apart; () for a set; None for a list without keys.
        atomic: whether the value is owned and replaced as a whole.
        required: whether the field must be there; its empty value is then kept.
        keeps_empty: whether an empty text or zero is kept.
    """

    __slots__ = ("_fields", "_model", "atomic", "item", "keeps_empty", "keys", "kind", "name", "required")

    def __init__(
        self,
        kind: str,
        *,
        model: type[msgspec.Struct] | None = None,
        item: "FieldType | None" = None,
        keys: tuple[str, ...] | None = None,
        atomic: bool = False,
        required: bool = False,
        keeps_empty: bool = True,
    ) -> None:
        self.kind = kind
        self.name = model.__name__ if model else ""
        self.item = item
        self.keys = keys
        self.atomic = atomic
        self.required = required
        self.keeps_empty = keeps_empty
        self._model = model
        self._fields: dict[str, FieldType] | None = None

    @property
    def fields(self) -> dict[str, "FieldType"]:
        """Fields of a struct; resolved when first asked for, since types refer to each other."""
        if self._fields is None:
            self._fields = _resolve_fields(self._model) if self._model else {}
        return self._fields


_SCALAR_ITEM = {kind: FieldType(kind) for kind in ("string", "quantity", "bytes", "any")}


@cache
def schema_of(resource_type: ResourceType) -> FieldType:
    """The type of the objects of a kind."""
    return FieldType("struct", model=getattr(_MODULES[resource_type.group], resource_type.kind))


def _resolve_fields(model: type[msgspec.Struct]) -> dict[str, FieldType]:
    annotations = inspect.get_annotations(model)
    namespace = vars(__import__(model.__module__, fromlist=["_"]))
    fields = {}
    for attribute, json_name in zip(model.__struct_fields__, model.__struct_encode_fields__, strict=True):
        annotation = annotations[attribute]
        fields[json_name] = _resolve(annotation, namespace, model.__name__, json_name)
    return fields


def _resolve(annotation: str, namespace: Mapping[str, Any], owner: str, field: str) -> FieldType:
    path = f"{owner}.{field}"
    optional = _OPTIONAL.match(annotation)
    inner = optional[1] if optional else annotation
    required = optional is None
    listed = _LIST.match(inner)
    if listed:
        keys = _LIST_KEYS.get(path)
        item = _resolve(listed[1], namespace, owner, field)
        return FieldType("list", item=item, keys=keys, atomic=keys is None, required=required)
    short = inner.rsplit(".", 1)[-1]
    kind = _SCALARS.get(short)
    if kind == "map":
        return FieldType(
            "map", item=_SCALAR_ITEM[_map_item(path, field)], atomic=path in _ATOMIC_MAPS, required=required
        )
    if kind == "string":
        return FieldType(kind, required=required, keeps_empty=required or path in _POINTER_TEXTS)
    if kind in {"int", "bool"}:
        dropped = not required and (field in _DROPPED_ZEROS or path in _DROPPED_ZERO_FIELDS)
        return FieldType(kind, required=required, keeps_empty=not dropped)
    if kind:
        return FieldType(kind, required=required)
    model = namespace[inner] if "." not in inner else getattr(namespace[inner.split(".")[0]], short)
    return FieldType("struct", model=model, atomic=short in _ATOMIC_STRUCTS, required=required)


def _map_item(path: str, field: str) -> str:
    if path in _BYTES_MAPS:
        return "bytes"
    return "quantity" if field in _QUANTITY_MAPS else "string"
