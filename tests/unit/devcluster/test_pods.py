import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.pods.container import back_off_s, image_problem
from devcluster.pods.context import NodeConfig
from devcluster.pods.environment import ConfigError, declared, expand, field_value
from devcluster.pods.logs import start_of_tail
from devcluster.pods.mounts import localise, localise_argument
from devcluster.pods.probes import Timing, Verdict, port_number
from devcluster.pods.scheduler import refusal, requests_of
from devcluster.pods.status import ContainerState, phase, quality_of_service, restarts, terminated, waiting

MOUNTS = {"/etc/team": "/data/p/team", "/etc/team/inner": "/data/p/inner", "/tmp/": "/data/p/tmp"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/etc/team", "/data/p/team"),
        ("/etc/team/", "/data/p/team/"),
        ("/etc/team/token", "/data/p/team/token"),
        ("/etc/team/inner/x", "/data/p/inner/x"),
        ("/etc/teams", "/etc/teams"),
        ("/tmp/x", "/data/p/tmp/x"),
        ("cat /etc/team/token", "cat /etc/team/token"),
        ("", ""),
    ],
)
def test_a_path_below_a_mount_is_rewritten(text: str, expected: str) -> None:
    assert localise(text, MOUNTS) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("--token-file=/etc/team/token", "--token-file=/data/p/team/token"),
        ("TOKEN=/etc/team/token", "TOKEN=/etc/team/token"),
        ("/etc/team/token", "/data/p/team/token"),
        ("-c", "-c"),
    ],
)
def test_a_word_of_a_command_may_carry_a_path_behind_its_flag(word: str, expected: str) -> None:
    assert localise_argument(word, MOUNTS) == expected


@given(st.text())
def test_without_mounts_nothing_is_rewritten(text: str) -> None:
    assert localise_argument(text, {}) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(A)", "x1y1"),
        ("$(B)", "$(B)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$()", "$()"),
    ],
)
def test_variables_expand_as_kubernetes_does(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


POD: dict[str, Any] = {
    "metadata": {
        "name": "p",
        "namespace": "n",
        "uid": "u",
        "labels": {"app": "x", "b/c": 'quo"te'},
        "annotations": {},
    },
    "spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}}}]},
    "status": {"podIP": "127.66.0.2"},
}
SECRET = {"kind": "Secret", "data": {"token": base64.b64encode(b"t").decode()}}
CONFIG = {"kind": "ConfigMap", "data": {"URL": "http://x", "LEVEL": "info"}}


def find(kind: str, name: str) -> dict[str, Any] | None:
    return {("Secret", "s"): SECRET, ("ConfigMap", "c"): CONFIG}.get((kind, name))


def test_variables_come_from_everywhere_and_later_ones_win() -> None:
    container = {
        "name": "a",
        "envFrom": [
            {"configMapRef": {"name": "c"}, "prefix": "X_"},
            {"secretRef": {"name": "no", "optional": True}},
        ],
        "env": [
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}},
            {"name": "MAYBE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "no", "optional": True}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "URL", "value": "http://$(IP):8000/$(TOKEN)"},
            {"name": "X_LEVEL", "value": "debug"},
            {"name": "EMPTY"},
        ],
    }
    assert declared(container, POD, find) == {
        "X_URL": "http://x",
        "X_LEVEL": "debug",
        "TOKEN": "t",
        "IP": "127.66.0.2",
        "URL": "http://127.66.0.2:8000/t",
        "EMPTY": "",
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"secretKeyRef": {"name": "no", "key": "k"}}, 'secret "no" not found'),
        ({"configMapKeyRef": {"name": "c", "key": "k"}}, "couldn't find key k in ConfigMap n/c"),
        ({"fieldRef": {"fieldPath": "spec.secret"}}, "unsupported fieldPath: spec.secret"),
    ],
)
def test_what_is_missing_is_named(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        declared({"name": "a", "env": [{"name": "V", "valueFrom": source}]}, POD, find)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "1024"),
        ({"resource": "requests.cpu"}, "0"),
    ],
)
def test_resources_are_told_in_units_of_the_divisor(reference: dict[str, Any], expected: str) -> None:
    (container,) = POD["spec"]["containers"]
    env = [{"name": "V", "valueFrom": {"resourceFieldRef": reference}}]
    assert declared({**container, "env": env}, POD, find) == {"V": expected}


def test_labels_are_told_one_by_one_or_as_lines() -> None:
    assert field_value(POD, "metadata.labels['b/c']") == 'quo"te'
    assert field_value(POD, "metadata.labels['no']") == ""
    assert field_value(POD, "metadata.labels") == 'app="x"\nb/c="quo\\"te"'


@pytest.mark.parametrize(
    ("container", "problem"),
    [
        ({"image": "a:1", "command": ["x"]}, None),
        ({"image": "a:missing", "command": ["x"]}, "not found"),
        ({"image": "a:1"}, "runs commands, not images"),
    ],
)
def test_an_image_alone_cannot_be_run(container: dict[str, Any], problem: str | None) -> None:
    found = image_problem(container)
    assert (found is None) if problem is None else (found is not None and problem in found)


def test_the_pause_between_restarts_doubles_up_to_the_longest() -> None:
    config = NodeConfig(first_back_off_s=1, longest_back_off_s=60)
    assert [back_off_s(each, config) for each in (0, 1, 2, 5, 6, 1000)] == [1, 2, 4, 32, 60, 60]


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("Always", 0, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_the_restart_policy_decides(policy: str, code: int, again: bool) -> None:
    assert restarts(policy, code) is again


def ended(code: int) -> ContainerState:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return ContainerState(state=terminated(code, started=moment, finished=moment), finished=True)


HELD = ContainerState(state=waiting("ContainerCreating"))
RUNS = ContainerState(state={"running": {}})
CRASHED = ContainerState(state=waiting("CrashLoopBackOff"), last_state={"terminated": {}})


@pytest.mark.parametrize(
    ("init", "containers", "expected"),
    [
        ([], [HELD], "Pending"),
        ([], [RUNS], "Running"),
        ([], [RUNS, HELD], "Pending"),
        ([], [CRASHED], "Running"),
        ([], [ended(0), RUNS], "Running"),
        ([], [ended(0), ended(0)], "Succeeded"),
        ([], [ended(0), ended(3)], "Failed"),
        ([RUNS], [HELD], "Pending"),
        ([ended(1)], [HELD], "Failed"),
        ([ended(0)], [RUNS], "Running"),
    ],
)
def test_the_phase_follows_from_the_containers(
    init: list[ContainerState], containers: list[ContainerState], expected: str
) -> None:
    assert phase(init, containers) == expected


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_the_quality_of_service_follows_from_the_resources(resources: dict[str, Any], expected: str) -> None:
    assert quality_of_service({"spec": {"containers": [{"name": "a", "resources": resources}]}}) == expected


def test_a_verdict_changes_at_its_threshold() -> None:
    timing = Timing(success_threshold=2, failure_threshold=3)
    verdicts = []
    verdict = Verdict()
    for success in (True, True, False, False, True, False, False, False):
        verdict = verdict.after(success, timing)
        verdicts.append(verdict.healthy)
    assert verdicts == [None, True, True, True, True, True, True, False]


@pytest.mark.parametrize(("port", "number"), [(80, 80), ("81", 81), ("http", 8000), ("no", 0)])
def test_a_port_is_known_by_number_or_name(port: int | str, number: int) -> None:
    assert port_number({"ports": [{"name": "http", "containerPort": 8000}]}, port) == number


@pytest.mark.parametrize(
    ("content", "lines", "tail"),
    [
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"a\n", 5, b"a\n"),
        (b"a\n", 0, b""),
        (b"", 3, b""),
        (b"\n\n\n", 2, b"\n\n"),
    ],
)
def test_the_last_lines_of_a_log(content: bytes, lines: int, tail: bytes) -> None:
    assert content[start_of_tail(content, lines) :] == tail


NODE = {
    "metadata": {"labels": {"disk": "ssd"}},
    "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "2"}},
}


def wanting(**spec: Any) -> dict[str, Any]:
    resources = spec.pop("resources", {})
    return {"spec": {"containers": [{"name": "a", "resources": resources}], **spec}}


def affinity(operator: str, *values: str) -> dict[str, Any]:
    expression = {"key": "disk", "operator": operator, "values": list(values)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (wanting(), None),
        (wanting(nodeSelector={"disk": "ssd"}), None),
        (wanting(nodeSelector={"disk": "hdd"}), "didn't match"),
        (wanting(affinity=affinity("In", "ssd")), None),
        (wanting(affinity=affinity("NotIn", "ssd")), "didn't match"),
        (wanting(affinity=affinity("DoesNotExist")), "didn't match"),
        (wanting(resources={"requests": {"cpu": "1500m"}}), None),
        (wanting(resources={"requests": {"cpu": "1501m"}}), "Insufficient cpu"),
        (wanting(resources={"limits": {"memory": "5Gi"}}), "Insufficient memory"),
    ],
)
def test_a_pod_is_placed_where_it_fits(pod: dict[str, Any], reason: str | None) -> None:
    placed = [requests_of(wanting(resources={"requests": {"cpu": "500m"}}))]
    found = refusal(pod, NODE, placed)
    assert (found is None) if reason is None else (found is not None and reason in found)


def test_a_node_takes_only_so_many_pods() -> None:
    placed = [requests_of(wanting())] * 2
    assert refusal(wanting(), NODE, placed) == "0/1 nodes are available: 1 Too many pods."
