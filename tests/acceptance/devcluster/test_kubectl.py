"""kubectl, unchanged, works against the dev cluster."""

import asyncio
import json
import os
import shutil

import pytest
import pytest_asyncio

from devcluster.server import DevCluster, DevClusterSettings

KUBECTL = shutil.which("kubectl")
if KUBECTL is None:
    pytest.skip(
        "!!! kubectl is NOT INSTALLED: nothing shows that the dev cluster still works with it !!!",
        allow_module_level=True,
    )

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {team: x}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: example/web:1
        command: ["python3", "-u", "-c", "import time; print('hello from the pod'); time.sleep(600)"]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8000}]}
"""


class Kubectl:
    def __init__(self, kubeconfig, folder):
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(folder)}

    async def start(self, *arguments):
        return await asyncio.create_subprocess_exec(
            KUBECTL, *arguments, env=self._environment, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip

    async def __call__(self, *arguments, stdin="", succeeds=True):
        process = await self.start(*arguments)
        output, _ = await process.communicate(stdin.encode())
        text = output.decode()
        assert (process.returncode == 0) is succeeds, text
        return text


@pytest_asyncio.fixture
async def kubectl(tmp_path):
    async with DevCluster(DevClusterSettings(data_dir=tmp_path / "devcluster")) as cluster:
        run = Kubectl(cluster.kubeconfig_path, tmp_path)
        await run("wait", "--for=create", "serviceaccount/default", "--timeout=20s")
        yield run


async def test_a_deployment_from_apply_to_delete(kubectl):
    assert "deployment.apps/web created" in await kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert "deployment.apps/web unchanged" in await kubectl("apply", "-f", "-", stdin=MANIFEST)
    await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert "1/1" in await kubectl("get", "deployment", "web")
    assert "Running" in await kubectl("get", "pods", "--selector=app=web")
    assert "service/web" in await kubectl("get", "all")
    assert "hello from the pod" in await kubectl("logs", "deployment/web")
    description = await kubectl("describe", "deployment", "web")
    assert "1 desired | 1 updated | 1 total | 1 available | 0 unavailable" in description
    assert 'deployment.apps "web" deleted' in await kubectl("delete", "deployment", "web", "--timeout=30s")
    await kubectl("wait", "--for=delete", "pods", "--selector=app=web", "--timeout=30s")
    assert "No resources found" in await kubectl("get", "pods")


async def test_a_changed_manifest_is_merged(kubectl):
    await kubectl("apply", "-f", "-", stdin=MANIFEST)
    changed = MANIFEST.replace("example/web:1", "example/web:2").replace(", labels: {team: x}", "")
    assert "deployment.apps/web configured" in await kubectl("apply", "-f", "-", stdin=changed)
    live = json.loads(await kubectl("get", "deployment", "web", "--output=json"))
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "example/web:2"
    assert "labels" not in live["metadata"]


async def test_server_side_apply_tells_of_conflicts(kubectl):
    await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST)
    await kubectl("scale", "deployment/web", "--replicas=0")
    refusal = await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST, succeeds=False)
    assert 'conflict with "kubectl" with subresource "scale"' in refusal
    assert "serverside-applied" in await kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=MANIFEST
    )


async def test_a_misspelt_field_is_refused(kubectl):
    refusal = await kubectl(
        "apply", "-f", "-", stdin=MANIFEST.replace("replicas", "replicsa"), succeeds=False
    )
    assert 'unknown field "spec.replicsa"' in refusal


async def test_a_watch_shows_changes_as_they_happen(kubectl):
    watching = await kubectl.start("get", "services", "--watch", "--output=name")
    try:
        await kubectl("apply", "-f", "-", stdin=MANIFEST)
        async with asyncio.timeout(20):
            assert await watching.stdout.readline() == b"service/web\n"
    finally:
        watching.kill()
        await watching.communicate()


async def test_what_kubectl_asks_before_it_starts(kubectl):
    assert "v1.36" in await kubectl("version")
    assert "cronjobs" in await kubectl("api-resources", "--namespaced=true")
    assert "yes" in await kubectl("auth", "can-i", "create", "cronjobs")
    assert "FIELD: replicas <integer>" in await kubectl("explain", "deployment.spec.replicas")


@pytest.mark.usefixtures("kubectl")
async def test_a_stranger_may_nothing(tmp_path):
    config = (tmp_path / "devcluster" / "kubeconfig").read_text()
    stranger = tmp_path / "stranger"
    stranger.write_text("\n".join(line.partition("/as/")[0] for line in config.splitlines()))
    refusal = await Kubectl(stranger, tmp_path)("get", "--raw=/api/v1/pods", succeeds=False)
    assert 'User "system:anonymous" cannot list resource' in refusal
