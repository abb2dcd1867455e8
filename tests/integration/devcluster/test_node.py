import asyncio
import base64
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from devcluster.errors import BadRequest
from tests.integration.devcluster.cluster import (
    NAMESPACE,
    SLEEPER,
    Cluster,
    container,
    container_status,
    has_restarted,
    is_in_phase,
    is_ready,
    pod,
    server,
    waits_for,
)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def until_ended(pid: int) -> None:
    async with asyncio.timeout(10):
        while exists(pid):  # noqa: ASYNC110 - nothing tells of the end of somebody else's child
            await asyncio.sleep(0.01)


async def test_a_pod_becomes_ready_as_soon_as_it_answers(node_only: Cluster) -> None:
    node_only.create(pod("web", server()))
    found = await node_only.until("Pod", "web", is_ready)
    assert found["spec"]["nodeName"] == "dev-node"
    assert found["status"]["phase"] == "Running"
    started = found["status"]["containerStatuses"][0]
    assert (started["ready"], started["started"], started["restartCount"]) == (True, True, 0)


async def test_many_pods_listen_on_one_port(node_only: Cluster) -> None:
    for word in ("one", "two", "three"):
        node_only.create(pod(word, server(env=[{"name": "WORD", "value": word}])))
    async with httpx2.AsyncClient(trust_env=False) as http:
        for word in ("one", "two", "three"):
            address = (await node_only.until("Pod", word, is_ready))["status"]["podIP"]
            assert (await http.get(f"http://{address}:8000/x")).text == f"/x {word}"


async def test_a_deleted_pod_is_asked_to_end_and_goes(node_only: Cluster) -> None:
    node_only.create(pod("sleeper", container(f"import os; print(os.getpid(), flush=True); {SLEEPER}")))
    await node_only.until("Pod", "sleeper", is_ready)
    pid = await pid_of(node_only, "sleeper")
    node_only.registry.delete("Pod", NAMESPACE, "sleeper")
    assert node_only.registry.get("Pod", NAMESPACE, "sleeper")["metadata"]["deletionTimestamp"]
    await node_only.until_gone("Pod", "sleeper")
    assert not exists(pid)


async def test_a_program_that_will_not_end_is_killed_after_its_grace_period(node_only: Cluster) -> None:
    program = (
        "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True); "
    )
    stubborn = pod("stubborn", container(f"{program} signal.pause()"), terminationGracePeriodSeconds=1)
    node_only.create(stubborn)
    pid = await pid_of(node_only, "stubborn")
    began = time.monotonic()
    node_only.registry.delete("Pod", NAMESPACE, "stubborn")
    await node_only.until_gone("Pod", "stubborn")
    assert not exists(pid)
    assert time.monotonic() - began >= 1


async def test_what_a_program_left_running_goes_with_it(node_only: Cluster) -> None:
    program = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True)"
    node_only.create(pod("parent", container(program), restartPolicy="Never"))
    await node_only.until("Pod", "parent", is_in_phase("Succeeded"))
    await until_ended(int(await node_only.log("parent")))


async def pid_of(cluster: Cluster, name: str) -> int:
    """The number that the pod's program prints first."""
    await cluster.until("Pod", name, is_in_phase("Running"))
    async for piece in cluster.node.logs.read(NAMESPACE, name, None, follow=True):
        return int(piece.split()[0])
    raise AssertionError("the program printed nothing")


async def test_programs_see_declared_variables_and_nothing_of_the_dev_cluster(
    node_only: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_ADMIN_TOKEN", "secret")
    secret = {"token": base64.b64encode(b"t0ken").decode()}
    node_only.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "team", "namespace": NAMESPACE},
            "data": secret,
        }
    )
    env = [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "team", "key": "token"}}},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "BOTH", "value": "$(APP):$(TOKEN):$(UNKNOWN)"},
    ]
    program = "import os, json; print(json.dumps(dict(os.environ)))"
    node_only.create(pod("env", container(program, env=env), restartPolicy="Never"))
    await node_only.until("Pod", "env", is_in_phase("Succeeded"))
    variables = json.loads(await node_only.log("env"))
    assert variables["BOTH"] == "env:t0ken:$(UNKNOWN)"
    assert set(variables) - {"PYTHONPATH", "LC_CTYPE", "PWD", "SHLVL", "_"} == {
        "PATH",
        "HOME",
        "LANG",
        "TOKEN",
        "APP",
        "BOTH",
    }
    assert variables["PATH"].startswith(str(Path(sys.executable).parent))


async def test_volumes_are_where_the_program_is_told_to_look(node_only: Cluster) -> None:
    node_only.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "team", "namespace": NAMESPACE},
            "data": {"token": base64.b64encode(b"t0ken").decode()},
        }
    )
    program = "import os, sys; print(open(os.environ['FILE']).read(), open(sys.argv[1]).read())"
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "volumes": [
            {"name": "team", "secret": {"secretName": "team"}},
            {
                "name": "info",
                "downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]},
            },
        ],
    }
    reader = container(
        program,
        args=["/etc/info/n"],
        env=[{"name": "FILE", "value": "/var/run/team/token"}],
        volumeMounts=[
            {"name": "team", "mountPath": "/var/run/team", "readOnly": True},
            {"name": "info", "mountPath": "/etc/info"},
        ],
    )
    node_only.create(pod("reader", reader, **spec))
    await node_only.until("Pod", "reader", is_in_phase("Succeeded"))
    assert await node_only.log("reader") == "t0ken reader\n"


async def test_a_pod_waits_for_a_secret_that_is_missing(node_only: Cluster) -> None:
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "late", "key": "token"}}}]
    node_only.create(
        pod("patient", container("import os; print(os.environ['TOKEN'])", env=env), restartPolicy="Never")
    )
    held = await node_only.until("Pod", "patient", waits_for("CreateContainerConfigError"))
    assert container_status(held)["state"]["waiting"]["message"] == 'secret "late" not found'
    node_only.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "late", "namespace": NAMESPACE},
            "data": {"token": base64.b64encode(b"here").decode()},
        }
    )
    await node_only.until("Pod", "patient", is_in_phase("Succeeded"))
    assert await node_only.log("patient") == "here\n"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image": "agent:missing"}, "not found"),
        ({"command": []}, "runs commands, not images"),
    ],
)
async def test_a_container_that_cannot_start_waits_for_its_image(
    node_only: Cluster, fields: dict[str, Any], words: str
) -> None:
    node_only.create(pod("broken", container(SLEEPER) | fields))
    found = await node_only.until("Pod", "broken", waits_for("ImagePullBackOff"))
    assert found["status"]["phase"] == "Pending"
    assert words in container_status(found)["state"]["waiting"]["message"]


async def test_a_program_that_is_not_there_ends_the_pod(node_only: Cluster) -> None:
    node_only.create(pod("absent", container("") | {"command": ["no-such-program"]}, restartPolicy="Never"))
    found = await node_only.until("Pod", "absent", is_in_phase("Failed"))
    ended = container_status(found)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "no-such-program" in ended["message"]


async def test_a_program_that_crashes_is_started_again_and_its_last_log_kept(node_only: Cluster) -> None:
    program = "import os, sys, pathlib; mark = pathlib.Path(os.environ['HOME'], 'mark')\n"
    program += "if mark.exists(): print('second', flush=True); import signal; signal.pause()\n"
    program += "mark.touch(); print('first'); sys.exit(3)"
    node_only.create(pod("crasher", container(program)))
    found = await node_only.until("Pod", "crasher", has_restarted)
    assert container_status(found)["lastState"]["terminated"]["exitCode"] == 3
    assert await node_only.log("crasher", previous=True) == "first\n"


async def test_a_container_whose_liveness_probe_fails_is_started_again(node_only: Cluster) -> None:
    liveness = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    node_only.create(pod("ill", container(SLEEPER, livenessProbe=liveness)))
    found = await node_only.until("Pod", "ill", has_restarted)
    assert container_status(found)["restartCount"] >= 1


async def test_a_pod_that_asks_for_another_node_stays_pending(node_only: Cluster) -> None:
    node_only.create(pod("picky", container(SLEEPER), nodeSelector={"disk": "ssd"}))
    found = await node_only.until("Pod", "picky", lambda obj: (obj.get("status") or {}).get("conditions"))
    (condition,) = found["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "PodScheduled",
        "False",
        "Unschedulable",
    )
    assert "didn't match Pod's node affinity/selector" in condition["message"]
    assert "nodeName" not in found["spec"]


async def test_a_pod_too_big_for_the_node_runs_when_there_is_room(node_only: Cluster) -> None:
    half = {"requests": {"cpu": "600"}}
    node_only.create(pod("first", container(SLEEPER, resources=half)))
    await node_only.until("Pod", "first", is_ready)
    node_only.create(pod("second", container(SLEEPER, resources=half)))
    found = await node_only.until("Pod", "second", lambda obj: (obj.get("status") or {}).get("conditions"))
    assert "Insufficient cpu" in found["status"]["conditions"][0]["message"]
    node_only.registry.delete("Pod", NAMESPACE, "first")
    await node_only.until("Pod", "second", is_ready)


async def test_init_containers_run_first_and_in_order(node_only: Cluster) -> None:
    steps = [
        {"name": name, "image": "x:1", "command": ["sh", "-c", f"echo {name} >> $HOME/steps"]}
        for name in ("a", "b")
    ]
    last = container("import os; print(open(os.environ['HOME'] + '/steps').read())")
    node_only.create(pod("stepwise", last, initContainers=steps, restartPolicy="Never"))
    await node_only.until("Pod", "stepwise", is_in_phase("Succeeded"))
    assert (await node_only.log("stepwise")).split() == ["a", "b"]


async def test_a_followed_log_ends_with_the_container(node_only: Cluster) -> None:
    program = "print('one', flush=True); import time; time.sleep(0.3); print('two')"
    node_only.create(pod("talker", container(program), restartPolicy="Never"))
    await node_only.until("Pod", "talker", is_in_phase("Running"))
    assert await node_only.log("talker", follow=True) == "one\ntwo\n"
    assert await node_only.log("talker", tail_lines=1) == "two\n"
    with pytest.raises(BadRequest, match="container nobody is not valid for pod talker"):
        await anext(node_only.node.logs.read(NAMESPACE, "talker", "nobody"))


async def test_pods_are_started_anew_when_the_node_comes_back(start_node: Any) -> None:
    async with start_node() as before:
        before.create(pod("lasting", server()))
        await before.until("Pod", "lasting", is_ready)
    async with start_node() as after:
        found = await after.until("Pod", "lasting", lambda obj: is_ready(obj) and has_restarted(obj))
        assert container_status(found)["restartCount"] == 1


async def test_no_process_outlives_a_killed_dev_cluster(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from devcluster.node import Node
from devcluster.registry import Registry
from tests.integration.devcluster.cluster import container, give_namespace, pod

async def main():
    registry = Registry()
    give_namespace(registry)
    work = "import os, subprocess; print(os.getpid(), subprocess.Popen(['sleep', '600']).pid, flush=True);"
    registry.create(pod("p", container(work + "import signal; signal.pause()")), manager="test")
    node = Node(registry, data_dir=Path(sys.argv[1]))
    running = asyncio.create_task(node.run())
    async for event in registry.watch(["Pod"]):
        if event.object.get("status", {}).get("phase") == "Running":
            async for piece in node.logs.read("incidentfox", "p", None, follow=True):
                sys.stdout.buffer.write(piece)
                sys.stdout.flush()

asyncio.run(main())
"""
    cluster = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "src:."},
    )
    assert cluster.stdout is not None
    try:
        async with asyncio.timeout(20):
            pids = [int(word) for word in (await cluster.stdout.readline()).split()]
    finally:
        cluster.send_signal(signal.SIGKILL)
        await cluster.wait()
    assert len(pids) == 2
    for pid in pids:
        await until_ended(pid)
