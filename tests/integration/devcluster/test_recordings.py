"""The API server answers what a real Kubernetes 1.36 answered."""

import json
from collections.abc import Mapping

import pytest

from tests.integration.devcluster.recordings import Replay, big_secret, scenarios, steps_of

#: Fields of recorded answers that are not compared, each with the reason. All 318 steps are replayed.
NOT_COMPARED: Mapping[tuple[str, int], Mapping[str, str]] = {
    ("create-and-replace", 2): {
        ".spec.schedule": "the recorder changed the object that it had read for the next step"
    },
    ("other-kinds", 16): {
        ".spec.holderIdentity": "the recorder changed the object that it had read for the next step",
        ".metadata.resourceVersion": "the recorder changed the object that it had read for the next step",
    },
    ("discovery", 3): {
        ".serverAddressByClientCIDRs[0].serverAddress": "the address of the machine that recorded"
    },
}


async def use_up_quota(client):
    """Without a quota controller the recorder had to say itself what is used."""
    used = {"count/cronjobs.batch": "1", "services": "1", "requests.cpu": "0"}
    answer = await client.patch(
        "/api/v1/namespaces/incidentfox/resourcequotas/q/status",
        json={
            "status": {
                "hard": {"count/cronjobs.batch": "1", "services": "1", "requests.cpu": "1"},
                "used": used,
            }
        },
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert answer.status_code == 200


#: What happened between recorded steps without being recorded.
BEFORE = {("quotas", 1): use_up_quota}

#: Requests that were shortened in the recording.
SHORTENED: Mapping[tuple[str, int], Mapping[str, object]] = {
    ("secrets", 8): {
        "query": {"fieldManager": "orchestrator"},
        "content_type": "application/apply-patch+yaml",
        "body": big_secret(),
    },
    ("lists", 11): {"query": {"continue": "rubbish"}},
}


@pytest.mark.parametrize("scenario", scenarios())
async def test_every_step_is_answered_as_recorded(scenario, client):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "incidentfox"}}
    assert (await client.post("/api/v1/namespaces", json=namespace)).status_code == 201
    replay = Replay()
    wrong = []
    for number, step in enumerate(steps_of(scenario)):
        if prepare := BEFORE.get((scenario, number)):
            await prepare(client)
        recorded = {**step["request"], **SHORTENED.get((scenario, number), {})}
        answer = await client.send(replay.request(client, recorded))
        expected = step["response"]
        if answer.status_code != expected["status"]:
            wrong.append(f"step {number}: recorded {expected['status']}, answered {answer.status_code}")
        body = read_body(answer, like=expected["body"])
        skipped = NOT_COMPARED.get((scenario, number), {})
        found = replay.differences(expected["body"], body)
        wrong += [f"step {number}: {item}" for item in found if item.partition(": ")[0] not in skipped]
        replay.remember(recorded["path"], body)
    assert not wrong, "\n".join(wrong)


def read_body(answer, *, like):
    """The body in the form in which it was recorded: text, one document, or the lines of a watch."""
    if isinstance(like, str):
        return answer.text
    if isinstance(like, list):
        return [json.loads(line) for line in answer.text.splitlines()]
    return answer.json()


def test_all_recordings_are_there():
    assert len(scenarios()) == 31
    assert sum(len(steps_of(scenario)) for scenario in scenarios()) == 318
