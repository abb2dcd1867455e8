import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse

from orchestrator.cli.kubectl import Cluster
from tests.integration.cli.conftest import serving

TABLE = {
    "kind": "Table",
    "columnDefinitions": [
        {"name": "Name", "priority": 0},
        {"name": "Schedule", "priority": 0},
        {"name": "Images", "priority": 1},
    ],
    "rows": [{"cells": ["ai-pipeline-extend-platform-sre", "0 2 * * *", "x"]}],
}


def api_server() -> FastAPI:
    api = FastAPI()
    namespaced = "/apis/batch/v1/namespaces/incidentfox"

    @api.middleware("http")
    async def _authenticate(request, call_next):
        known = request.headers["authorization"] == "Bearer dev"
        return await call_next(request) if known else JSONResponse({}, status_code=401)

    @api.get("/readyz")
    async def _ready():
        return PlainTextResponse("ok")

    @api.get(namespaced + "/cronjobs/{name}")
    async def _cronjob(name: str, request: Request):
        if name != TABLE["rows"][0]["cells"][0]:
            return JSONResponse({"kind": "Status", "code": 404}, status_code=404)
        as_table = "as=Table" in request.headers["accept"]
        return TABLE if as_table else {"kind": "CronJob", "metadata": {"name": name}}

    @api.get(namespaced + "/cronjobs")
    async def _cronjobs():
        return {**TABLE, "rows": []}

    @api.get("/api/v1/namespaces/incidentfox/pods")
    async def _pods(request: Request):
        assert request.query_params["labelSelector"] == "batch.kubernetes.io/job-name=run-now"
        return {"items": [{"metadata": {"name": "run-now-x"}}]}

    @api.get("/api/v1/namespaces/incidentfox/pods/run-now-x/log")
    async def _log():
        return PlainTextResponse("reading\n" + json.dumps({"learned": 5}))

    return api


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    with serving(api_server()) as url:
        file = tmp_path / "kubeconfig"
        config = {
            "current-context": "dev",
            "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "dev"}}],
            "clusters": [{"name": "dev", "cluster": {"server": url}}],
            "users": [{"name": "dev", "user": {"token": "dev"}}],
        }
        file.write_text(yaml.safe_dump(config))
        yield file


@pytest.fixture
async def cluster(kubeconfig):
    cluster = Cluster(kubeconfig, "incidentfox", kubectl=None)
    yield cluster
    await cluster.close()


NAME = "ai-pipeline-extend-platform-sre"


async def test_without_kubectl_the_same_table_is_asked_for_by_http(cluster):
    command, output = await cluster.show("cronjob", NAME)
    assert command == f"kubectl get cronjob {NAME} -n incidentfox"
    assert output.splitlines() == ["NAME                              SCHEDULE", f"{NAME}   0 2 * * *"]


async def test_nothing_there_reads_as_kubectl_says_it(cluster):
    command, output = await cluster.show("cronjob", selector="a=b")
    assert command == "kubectl get cronjob -n incidentfox -l a=b"
    assert output == "No resources found in incidentfox namespace."


async def test_a_kubectl_that_cannot_run_does_not_stand_in_the_way(kubeconfig, tmp_path):
    broken = tmp_path / "kubectl"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o700)
    cluster = Cluster(kubeconfig, "incidentfox", kubectl=str(broken))
    assert NAME in (await cluster.show("cronjob", NAME))[1]
    await cluster.close()


async def test_kubectl_itself_is_used_where_it_is_installed(kubeconfig, tmp_path):
    program = tmp_path / "kubectl"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys\nprint(os.environ['KUBECONFIG'], *sys.argv[1:])\n"
    )
    program.chmod(0o700)
    cluster = Cluster(kubeconfig, "incidentfox", kubectl=str(program))
    assert (await cluster.show("service", "x"))[1] == f"{kubeconfig} get service x -n incidentfox"
    await cluster.close()


async def test_objects_and_logs_are_read(cluster):
    assert await cluster.is_ready()
    assert (await cluster.get("cronjob", NAME))["kind"] == "CronJob"
    assert await cluster.get("cronjob", "nobody") is None
    assert json.loads((await cluster.log_of_job("run-now")).splitlines()[-1]) == {"learned": 5}
