"""The resource types that the dev cluster serves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """One kind and how the API server treats it.

    Attributes:
        group: the API group; empty for the core group.
        version: `v1`, `v2`.
        kind: the Kind, which names the type within this program.
        plural: the last part of the path.
        namespaced: whether objects live in a namespace.
        short_names: what kubectl takes instead of the plural.
        subresources: the parts below an object's path that are served.
        in_all: whether `kubectl get all` shows it.
        counts_generations: whether `metadata.generation` follows the wanted state.
        returns_deleted: whether a delete answers the object instead of a `Status`.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    in_all: bool = False
    counts_generations: bool = False
    returns_deleted: bool = False

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """What kubectl calls one of them."""
        return self.kind.lower()

    @property
    def resource(self) -> str:
        """`cronjobs.batch`: how messages call the type."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def prefix(self) -> str:
        """The path of the group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def has_status(self) -> bool:
        """Whether status is a subresource of its own, untouched by writes of the object."""
        return "status" in self.subresources


_STATUS = ("status",)
_SCALED = ("scale", "status")

RESOURCE_TYPES: tuple[ResourceType, ...] = (
    ResourceType(
        group="",
        version="v1",
        kind="Namespace",
        plural="namespaces",
        namespaced=False,
        short_names=("ns",),
        subresources=("finalize", "status"),
    ),
    ResourceType(
        group="",
        version="v1",
        kind="Node",
        plural="nodes",
        namespaced=False,
        short_names=("no",),
        subresources=_STATUS,
    ),
    ResourceType(
        group="",
        version="v1",
        kind="Pod",
        plural="pods",
        short_names=("po",),
        in_all=True,
        subresources=("log", "proxy", "status"),
        counts_generations=True,
        returns_deleted=True,
    ),
    ResourceType(
        group="",
        version="v1",
        kind="Service",
        plural="services",
        short_names=("svc",),
        in_all=True,
        subresources=("proxy", "status"),
        returns_deleted=True,
    ),
    ResourceType(group="", version="v1", kind="Secret", plural="secrets"),
    ResourceType(group="", version="v1", kind="ConfigMap", plural="configmaps", short_names=("cm",)),
    ResourceType(
        group="",
        version="v1",
        kind="ServiceAccount",
        plural="serviceaccounts",
        short_names=("sa",),
        returns_deleted=True,
    ),
    ResourceType(group="", version="v1", kind="Event", plural="events", short_names=("ev",)),
    ResourceType(
        group="",
        version="v1",
        kind="ResourceQuota",
        plural="resourcequotas",
        short_names=("quota",),
        subresources=_STATUS,
        returns_deleted=True,
    ),
    ResourceType(group="", version="v1", kind="LimitRange", plural="limitranges", short_names=("limits",)),
    ResourceType(group="", version="v1", kind="Endpoints", plural="endpoints", short_names=("ep",)),
    ResourceType(
        group="apps",
        version="v1",
        kind="Deployment",
        plural="deployments",
        short_names=("deploy",),
        subresources=_SCALED,
        in_all=True,
        counts_generations=True,
    ),
    ResourceType(
        group="apps",
        version="v1",
        kind="ReplicaSet",
        plural="replicasets",
        short_names=("rs",),
        subresources=_SCALED,
        in_all=True,
        counts_generations=True,
    ),
    ResourceType(
        group="batch",
        version="v1",
        kind="CronJob",
        plural="cronjobs",
        short_names=("cj",),
        subresources=_STATUS,
        in_all=True,
        counts_generations=True,
    ),
    ResourceType(
        group="batch",
        version="v1",
        kind="Job",
        plural="jobs",
        subresources=_STATUS,
        in_all=True,
        counts_generations=True,
    ),
    ResourceType(
        group="networking.k8s.io",
        version="v1",
        kind="NetworkPolicy",
        plural="networkpolicies",
        short_names=("netpol",),
        counts_generations=True,
    ),
    ResourceType(
        group="policy",
        version="v1",
        kind="PodDisruptionBudget",
        plural="poddisruptionbudgets",
        short_names=("pdb",),
        subresources=_STATUS,
        counts_generations=True,
    ),
    ResourceType(
        group="autoscaling",
        version="v2",
        kind="HorizontalPodAutoscaler",
        plural="horizontalpodautoscalers",
        short_names=("hpa",),
        subresources=_STATUS,
        in_all=True,
    ),
    ResourceType(
        group="scheduling.k8s.io",
        version="v1",
        kind="PriorityClass",
        plural="priorityclasses",
        namespaced=False,
        short_names=("pc",),
        counts_generations=True,
    ),
    ResourceType(group="rbac.authorization.k8s.io", version="v1", kind="Role", plural="roles"),
    ResourceType(group="rbac.authorization.k8s.io", version="v1", kind="RoleBinding", plural="rolebindings"),
    ResourceType(group="coordination.k8s.io", version="v1", kind="Lease", plural="leases"),
    ResourceType(
        group="discovery.k8s.io",
        version="v1",
        kind="EndpointSlice",
        plural="endpointslices",
        counts_generations=True,
    ),
)

#: The second door to events; stored and watched as core events.
EVENTS_V1 = ResourceType(
    group="events.k8s.io", version="v1", kind="Event", plural="events", short_names=("ev",)
)


@dataclass(frozen=True, slots=True)
class _Index:
    by_kind: Mapping[str, ResourceType] = field(
        default_factory=lambda: {resource_type.kind: resource_type for resource_type in RESOURCE_TYPES}
    )
    by_path: Mapping[tuple[str, str, str], ResourceType] = field(
        default_factory=lambda: {
            (resource_type.group, resource_type.version, resource_type.plural): resource_type
            for resource_type in (*RESOURCE_TYPES, EVENTS_V1)
        }
    )


_INDEX = _Index()


def by_kind(kind: str) -> ResourceType:
    """The type of a Kind; KeyError for one that is not served."""
    return _INDEX.by_kind[kind]


def by_path(group: str, version: str, plural: str) -> ResourceType | None:
    """The type that a path names, if it is served."""
    return _INDEX.by_path.get((group, version, plural))
