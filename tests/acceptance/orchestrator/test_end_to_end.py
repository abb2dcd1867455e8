"""Everything as processes of its own: a team is provisioned, learns, answers, and leaves nothing behind."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.demo_story import TEAM
from orchestrator.cli.kubectl import Cluster
from tests.acceptance.orchestrator.programs import Programs, eventually

CRONJOB = "ai-pipeline-extend-platform-sre"
AGENT = "agent-dedicated-extend-platform-sre"
#: What somebody of the first team found out in Slack; no other team may ever read it.
LEARNED = "payments-api"


async def ask(programs: Programs, team: str, message: str) -> dict[str, Any]:
    response = await programs.post(
        "/agents/run", org_id="extend", team_node_id=team, agent_name="sre", message=message
    )
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def ready(programs: Programs, team: str) -> bool:
    body = (await programs.http.get(f"/api/v1/admin/teams/extend/{team}")).json()
    return {item["type"]: item["status"] for item in body["conditions"]}["Ready"] == "True"


async def ended_well(cluster: Cluster, job: str) -> bool:
    obj = await cluster.get("job", job)
    conditions = {item["type"]: item for item in (obj["status"].get("conditions") or ())}
    assert "Failed" not in conditions, conditions
    return "Complete" in conditions


def processes_of_pods(programs: Programs) -> list[str]:
    """Command lines of the processes that have the node's folder for pods in their environment."""
    folder = f"{programs.layout.data_dir}/cluster/".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.mark.timeout(180)
async def test_a_team_learns_from_slack_answers_and_leaves_nothing(programs: Programs) -> None:
    await programs.start_cluster()
    cluster = programs.cluster()
    await programs.start_orchestrator()
    await programs.start_shared_agent()
    dedicated = await programs.post("/provision/team", **TEAM)
    shared = await programs.post(
        "/provision/team", org_id="extend", team_node_id="data", slack_channel_ids=["C99999"]
    )
    assert (dedicated.status_code, shared.status_code) == (200, 200), dedicated.text + shared.text

    await eventually(lambda: ready(programs, "platform-sre"), "the dedicated agent is available")
    job = (await programs.post("/teams/extend/platform-sre/pipeline/run")).json()["job"]["name"]
    await eventually(lambda: ended_well(cluster, job), "the pipeline has ended")
    question = "payments-api is slow, p99 latency is above 4 s. What was the cause last time?"
    answer = await ask(programs, "platform-sre", question)
    stranger = await ask(programs, "data", question)

    assert answer["sources"], answer
    assert {source["channel"] for source in answer["sources"]} == {"C12345"}
    assert LEARNED in str(answer)
    assert stranger["sources"] == []

    assert any("agent_runtime" in command for command in processes_of_pods(programs))
    left = await programs.post(
        "/deprovision/team", org_id="extend", team_node_id="platform-sre", delete_config=True
    )
    assert left.json()["status"] == "succeeded", left.text
    await eventually(lambda: nothing_is_left(cluster), "the team's pods are gone")
    assert processes_of_pods(programs) == []
    gone = await programs.post("/agents/run", org_id="extend", team_node_id="platform-sre", message=question)
    assert gone.status_code == 404
    await cluster.close()


async def nothing_is_left(cluster: Cluster) -> bool:
    selector = "incidentfox.io/org-id=extend,incidentfox.io/team-node-id=platform-sre"
    _, shown = await cluster.show("cronjob,job,deployment,service,pod", selector=selector)
    return "platform-sre" not in shown
