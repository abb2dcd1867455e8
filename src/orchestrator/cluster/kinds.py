"""Where each managed kind lives in the API."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiKind:
    """A kind's API group and version, its plural, and whether its objects live in a namespace."""

    api_version: str
    plural: str
    namespaced: bool = True

    def collection(self, namespace: str = "") -> str:
        """The path of the collection; without a namespace: over all of them."""
        root = f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"
        middle = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{root}{middle}/{self.plural}"


KINDS: dict[str, ApiKind] = {
    "Namespace": ApiKind("v1", "namespaces", namespaced=False),
    "ResourceQuota": ApiKind("v1", "resourcequotas"),
    "LimitRange": ApiKind("v1", "limitranges"),
    "NetworkPolicy": ApiKind("networking.k8s.io/v1", "networkpolicies"),
    "ServiceAccount": ApiKind("v1", "serviceaccounts"),
    "Secret": ApiKind("v1", "secrets"),
    "Service": ApiKind("v1", "services"),
    "Deployment": ApiKind("apps/v1", "deployments"),
    "PodDisruptionBudget": ApiKind("policy/v1", "poddisruptionbudgets"),
    "HorizontalPodAutoscaler": ApiKind("autoscaling/v2", "horizontalpodautoscalers"),
    "CronJob": ApiKind("batch/v1", "cronjobs"),
    "Job": ApiKind("batch/v1", "jobs"),
}
