"""The API server answers what a real Kubernetes 1.36 answered."""

import json
from collections.abc import Mapping

import pytest

from tests.integration.devcluster.recordings import Replay, big_secret, scenarios, steps_of

#: Steps that are not compared, each with its reason. There is no room for more than thirty.
OUT_OF_SCOPE: Mapping[tuple[str, int], str] = {}

#: Recorded fields that are not compared, each with its reason.
NOT_COMPARED: Mapping[tuple[str, int], Mapping[str, str]] = {}


async def _prepare(client, namespace="incidentfox"):
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    answer = await client.post("/api/v1/namespaces", json=body)
    assert answer.status_code == 201


@pytest.mark.parametrize("scenario", scenarios())
async def test_every_step_is_answered_as_recorded(scenario, client):
    await _prepare(client)
    replay = Replay()
    wrong = []
    for number, step in enumerate(steps_of(scenario)):
        recorded = step["request"]
        if isinstance(recorded.get("body"), str) and recorded["body"].startswith("<1.6 MB"):
            query = {"fieldManager": "orchestrator"}
            recorded = {**recorded, "query": query, "body": big_secret(), "content_type": "application/apply-patch+yaml"}
        answer = await client.send(replay.request(client, recorded))
        expected = step["response"]["body"]
        try:
            body = answer.json()
        except ValueError:
            body = answer.text
        if isinstance(expected, list):
            body = [json.loads(line) for line in answer.text.splitlines()]
        if isinstance(expected, str):
            body = answer.text
        if answer.status_code != step["response"]["status"]:
            wrong.append(f"step {number}: recorded {step['response']['status']}, answered {answer.status_code} {body}")
        wrong += [f"step {number}: {item}" for item in replay.differences(expected, body)]
        replay.remember(recorded["path"], body)
    assert not wrong, "\n".join(wrong)
