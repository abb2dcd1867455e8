"""The `restricted` Pod Security Standard, as far as a pod's spec can break it."""

from typing import Any

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def violations(pod: dict[str, Any]) -> list[str]:
    """What the API server would refuse this pod for in a `restricted` namespace."""
    found = [f"{field} is set" for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field)]
    of_pod = pod.get("securityContext", {})
    found += [
        f"volume {volume['name']} is of a refused type"
        for volume in pod.get("volumes", [])
        if not (set(volume) - {"name"}) <= _VOLUMES
    ]
    for container in (*pod["containers"], *pod.get("initContainers", [])):
        found += [f"{container['name']}: {problem}" for problem in _of_container(container, of_pod)]
    return found


def _of_container(container: dict[str, Any], of_pod: dict[str, Any]) -> list[str]:
    own = container.get("securityContext", {})
    capabilities = own.get("capabilities", {})
    profile = own.get("seccompProfile", of_pod.get("seccompProfile", {})).get("type")
    rules = {
        "privileged": not own.get("privileged"),
        "may gain privileges": own.get("allowPrivilegeEscalation") is False,
        "keeps capabilities": "ALL" in capabilities.get("drop", []),
        "adds capabilities": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
        "may run as root": own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is True,
        "runs as root": own.get("runAsUser", of_pod.get("runAsUser", 1)) != 0,
        "no seccomp profile": profile in {"RuntimeDefault", "Localhost"},
        "host port": not any(port.get("hostPort") for port in container.get("ports", [])),
        "proc mount": own.get("procMount", "Default") == "Default",
    }
    return [problem for problem, holds in rules.items() if not holds]
