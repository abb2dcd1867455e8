"""The agent as a process, against a Config Service in another one."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from agent_runtime.agent import Agent
from agent_runtime.capacity import Capacity
from agent_runtime.config_service import ConfigServiceClient
from servicekit.problems import Unavailable
from tests.integration.agent_runtime.conftest import StartAgent
from tests.integration.agent_runtime.fake_config_service import FakeConfigService
from tests.integration.agent_runtime.processes import RunningAgent


def entry(id_: str, title: str, answer: str) -> dict[str, object]:
    thread_ts = "1772440920.000100"
    source = {"channel": "C12345", "channel_name": "incidents", "thread_ts": thread_ts}
    texts = {"title": title, "question": title, "answer": answer}
    return {"id": id_} | texts | {"source": source, "learned_from_ts": thread_ts, "tags": []}


KAFKA = entry("k1", "Kafka consumer lag grows", "Scaled the consumers to 12")
DISK = entry("d1", "Disk full on the broker", "Shortened the retention")


def test_answers_a_team_from_its_own_entries_with_sources(
    config_service: FakeConfigService, shared_agent: RunningAgent
) -> None:
    token = config_service.add_team("acme", "pay", "t-acme", {"agent": {"greeting": "Hello, payments team."}})
    config_service.learn(token, KAFKA, DISK)

    answer = shared_agent.ask(token, "our kafka consumers are lagging")

    assert answer.status_code == 200
    body = answer.json()
    assert body["answer"].startswith("Hello, payments team.\n\n")
    assert "> Scaled the consumers to 12" in body["answer"]
    [source] = body["sources"]
    assert source.pop("score") > 0
    assert source == {
        "id": "k1",
        "title": "Kafka consumer lag grows",
        "channel": "C12345",
        "thread_ts": "1772440920.000100",
    }
    assert (body["agent"], body["org_id"], body["team_node_id"]) == ("sre", "acme", "pay")
    assert body["runtime"] == "shared"
    assert body["duration_ms"] >= 0


def test_facts_in_the_context_are_searched_too(
    config_service: FakeConfigService, shared_agent: RunningAgent
) -> None:
    token = config_service.add_team("acme", "pay", "t-acme")
    config_service.learn(token, KAFKA, DISK)
    answer = shared_agent.ask(token, "what is this?", context={"alert": "disk full on broker", "value": 98})
    assert [source["id"] for source in answer.json()["sources"]] == ["d1"]


def test_says_so_when_nothing_matches_and_when_nothing_was_learned(
    config_service: FakeConfigService, shared_agent: RunningAgent
) -> None:
    token = config_service.add_team("acme", "pay", "t-acme")
    nothing_learned = shared_agent.ask(token, "kafka lag").json()
    config_service.learn(token, KAFKA)
    no_match = shared_agent.ask(token, "certificate of the ingress expired").json()

    assert nothing_learned["sources"] == no_match["sources"] == []
    assert "nothing has been learned" in nothing_learned["answer"]
    assert "I found nothing about this" in no_match["answer"]
    assert "exact error message" in no_match["answer"]


def test_two_teams_on_one_shared_agent_never_see_each_others_entries(
    config_service: FakeConfigService, shared_agent: RunningAgent
) -> None:
    tokens = {
        team: config_service.add_team("acme", team, f"t-{team}", {"agent": {"greeting": f"Hi {team}"}})
        for team in ("red", "blue")
    }
    for team, token in tokens.items():
        config_service.learn(token, entry(f"{team}-1", "Kafka lag", f"only {team} knows"))

    with ThreadPoolExecutor(8) as callers:
        asked = [team for _ in range(20) for team in tokens]
        answers = list(callers.map(lambda team: shared_agent.ask(tokens[team], "kafka lag"), asked))

    for team, answer in zip(asked, answers, strict=True):
        assert answer.json()["team_node_id"] == team
        assert [source["id"] for source in answer.json()["sources"]] == [f"{team}-1"]
        assert f"Hi {team}" in answer.json()["answer"]
        assert f"only {team} knows" in answer.json()["answer"]


def test_many_pages_of_entries_are_all_searched(
    config_service: FakeConfigService, shared_agent: RunningAgent
) -> None:
    token = config_service.add_team("acme", "pay", "t-acme")
    for start in range(0, 600, 200):
        config_service.learn(
            token, *(entry(f"e{n:04}", f"noise {n}", "-") for n in range(start, start + 200))
        )
    config_service.learn(token, entry("z-last", "certificate expired", "renewed"))
    answer = shared_agent.ask(token, "expired certificate")
    assert [source["id"] for source in answer.json()["sources"]] == ["z-last"]


def test_strangers_and_admins_are_refused(
    config_service: FakeConfigService, shared_agent: RunningAgent
) -> None:
    admin = config_service.add_admin("t-admin")
    assert shared_agent.ask(None, "hello").status_code == 401
    unknown = shared_agent.ask("t-unknown", "hello")
    assert unknown.status_code == 401
    assert unknown.headers["WWW-Authenticate"] == "Bearer"
    assert unknown.headers["Content-Type"] == "application/problem+json"
    assert shared_agent.ask(admin, "hello").status_code == 403
    strange = shared_agent.http.post(
        "/agents/sre/run", json={"message": "x"}, headers={"Authorization": "Bearer ä b".encode("latin-1")}
    )
    assert strange.status_code == 401


def test_a_revoked_token_stops_working_at_once(
    config_service: FakeConfigService, shared_agent: RunningAgent
) -> None:
    token = config_service.add_team("acme", "pay", "t-acme")
    assert shared_agent.ask(token, "kafka").status_code == 200
    config_service.revoke(token)
    assert shared_agent.ask(token, "kafka").status_code == 401


def test_the_teams_configuration_is_honoured(
    config_service: FakeConfigService, shared_agent: RunningAgent
) -> None:
    config = {"agent": {"enabled_agents": ["triage"], "max_sources": 1, "instructions": "Page us first."}}
    token = config_service.add_team("acme", "pay", "t-acme", config)
    config_service.learn(token, KAFKA, entry("k2", "Kafka consumer lag again", "Scaled again"))

    assert shared_agent.ask(token, "kafka lag", name="sre").status_code == 404
    answer = shared_agent.ask(token, "kafka lag", name="triage").json()
    assert len(answer["sources"]) == 1
    assert answer["answer"].startswith("Page us first.")


@pytest.mark.parametrize(
    "agent", ["on", {"enabled_agents": "sre"}, {"max_sources": 0}, {"max_sources": "many"}, {"greeting": 7}]
)
def test_a_wrong_configuration_is_named_not_guessed(
    config_service: FakeConfigService, shared_agent: RunningAgent, agent: object
) -> None:
    token = config_service.add_team("acme", "pay", "t-acme", {"agent": agent})
    answer = shared_agent.ask(token, "kafka lag")
    assert answer.status_code == 409
    assert "agent" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"message": ""}', 422),
        (b'{"message": "   "}', 422),
        (b'{"message": 5}', 422),
        (b'{"message": "x", "mesage": "y"}', 422),
        (b'{"message": "x", "context": []}', 422),
        (b'{"message": "\\ud800"}', 422),
        (b'{"message": "x", "context": {"a": "\\ud800"}}', 200),
        (b'{"message": "' + b"x" * 20_001 + b'"}', 422),
        (b'{"message": "x"', 422),
        (b"[" * 100_000, 400),
        (b"", 422),
        (b"\xff\xfe", 422),
        (b'{"message": "' + b"x" * 400_000 + b'"}', 413),
        (b'{"message": "! ?"}', 200),
    ],
)
def test_whatever_is_sent_gets_a_proper_answer(
    config_service: FakeConfigService, shared_agent: RunningAgent, body: bytes, status: int
) -> None:
    token = config_service.add_team("acme", "pay", "t-acme")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = shared_agent.http.post("/agents/sre/run", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["a" * 64, "a b", "a%0A", "ä"])
def test_a_name_that_cannot_be_is_refused(
    config_service: FakeConfigService, shared_agent: RunningAgent, name: str
) -> None:
    token = config_service.add_team("acme", "pay", "t-acme")
    assert shared_agent.ask(token, "x", name=name).status_code == 422


def test_a_config_service_that_is_away_is_503_and_the_agent_stays_healthy(
    config_service: FakeConfigService, shared_agent: RunningAgent
) -> None:
    token = config_service.add_team("acme", "pay", "t-acme")
    config_service.go_away()
    answer = shared_agent.ask(token, "kafka lag")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["Content-Type"] == "application/problem+json"
    for path in ("/health", "/livez", "/readyz"):
        assert shared_agent.http.get(path).json() == {"status": "ok", "mode": "shared"}


def test_a_config_service_that_cannot_be_reached_is_503(start_agent: StartAgent) -> None:
    agent = start_agent("http://127.0.0.1:9")
    assert agent.ask("t-acme", "kafka lag").status_code == 503


def test_a_dedicated_agent_answers_its_own_team_only(
    config_service: FakeConfigService, acme_agent: RunningAgent
) -> None:
    own = config_service.add_team("acme", "pay", "t-acme")
    sibling = config_service.add_team("acme", "ops", "t-ops")
    namesake = config_service.add_team("globex", "pay", "t-globex")
    config_service.learn(own, KAFKA)

    answer = acme_agent.ask(own, "kafka lag")
    assert answer.json()["runtime"] == "dedicated"
    assert [source["id"] for source in answer.json()["sources"]] == ["k1"]
    for foreign in (sibling, namesake):
        refused = acme_agent.ask(foreign, "kafka lag")
        assert refused.status_code == 403
        assert "k1" not in refused.text
    assert acme_agent.http.get("/health").json() == {
        "status": "ok",
        "mode": "dedicated",
        "org_id": "acme",
        "team_node_id": "pay",
    }


def test_a_rotated_runtime_token_is_taken_up_without_a_restart(
    config_service: FakeConfigService, acme_agent: RunningAgent, token_file: Path
) -> None:
    def ready() -> tuple[int, str]:
        answer = acme_agent.http.get("/readyz")
        return answer.status_code, answer.json()["credential"]

    first = config_service.add_team("acme", "pay", "t-first")
    second = config_service.add_team("acme", "pay", "t-second")
    foreign = config_service.add_team("globex", "pay", "t-globex")
    token_file.unlink(missing_ok=True)
    assert ready() == (503, "missing")
    token_file.write_text(f"{first}\n")
    assert ready() == (200, "accepted")
    config_service.revoke(first)
    assert ready() == (200, "accepted"), "a rotation under way must not take the pods out of service"
    token_file.write_text("t-not-known")
    assert ready() == (503, "rejected")
    token_file.write_text(second)
    assert ready() == (200, "accepted")
    token_file.write_text(foreign)
    assert ready() == (503, "foreign")
    config_service.go_away()
    token_file.write_text("t-third")
    assert ready() == (200, "unverified")


def test_requests_that_run_end_before_the_process_does(
    config_service: FakeConfigService, start_agent: StartAgent
) -> None:
    agent = start_agent()
    token = config_service.add_team("acme", "pay", "t-acme")
    config_service.learn(token, KAFKA)
    config_service.hold("GET", "/api/v1/config/me/knowledge")
    with ThreadPoolExecutor(1) as caller:
        running = caller.submit(agent.ask, token, "kafka lag")
        config_service.wait_until_somebody_waits()
        agent.process.terminate()
        while True:
            try:
                httpx2.get(agent.http.base_url.join("/health"))
            except httpx2.TransportError:
                break
        config_service.release()
        assert running.result().json()["sources"][0]["id"] == "k1"
    assert agent.process.wait(timeout=30) == 0


def test_wrong_settings_stop_the_start_with_a_line_each() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "CONFIG_SERVICE_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "agent_runtime"],
        env=environment | {"PYTHONPATH": "src", "AGENT_PORT": "eighty"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    lines = sorted(done.stderr.splitlines())
    assert [line.partition(":")[0] for line in lines] == ["AGENT_PORT", "CONFIG_SERVICE_URL"]


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/api/v1/auth/me", 200, 503),
        ("/api/v1/auth/me", 302, 503),
        ("/api/v1/auth/me", 429, 503),
        ("/api/v1/config/me/effective", 200, 503),
        ("/api/v1/config/me/effective", 500, 503),
        ("/api/v1/config/me/effective", 404, 404),
        ("/api/v1/config/me/knowledge", 401, 401),
        ("/api/v1/config/me/knowledge", 403, 403),
    ],
)
def test_every_odd_answer_of_the_config_service_has_a_proper_one_of_ours(
    config_service: FakeConfigService, shared_agent: RunningAgent, path: str, status: int, told: int
) -> None:
    token = config_service.add_team("acme", "pay", "t-acme")
    config_service.fail_once("GET", path, status)
    answer = shared_agent.ask(token, "kafka lag")
    assert answer.status_code == told
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert shared_agent.ask(token, "kafka lag").status_code == 200


async def test_a_config_service_that_hangs_costs_a_request_its_deadline_only(
    config_service: FakeConfigService,
) -> None:
    token = config_service.add_team("acme", "pay", "t-acme")
    capacity = Capacity(total=1, per_team=1)
    async with httpx2.AsyncClient(base_url=config_service.url, timeout=5) as http:
        agent = Agent(
            config_service=ConfigServiceClient(http), capacity=capacity, only_team=None, deadline_s=0.2
        )
        config_service.hold("GET", "/api/v1/config/me/knowledge")
        with pytest.raises(Unavailable):
            await agent.run("sre", token, "kafka lag")
        config_service.release()
    async with httpx2.AsyncClient(base_url=config_service.url, timeout=5) as http:
        agent = Agent(config_service=ConfigServiceClient(http), capacity=capacity, only_team=None)
        answer = await agent.run("sre", token, "kafka lag")
        assert answer.sources == (), "the slots of the request that gave up are free again"
