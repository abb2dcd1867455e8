import itertools
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.naming import AGENT, NAMESPACE, PIPELINE, SECRET, NameKind, candidates, claim
from orchestrator.domain.team import TeamKey, TeamNames
from tests.strategies import team_keys
from tests.unit.domain import recordings

KINDS = (PIPELINE, AGENT, SECRET, NAMESPACE)
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def all_names(names: TeamNames) -> tuple[str, str, str, str]:
    return names.pipeline, names.agent, names.secret, names.namespace


def first(kind: NameKind, key: TeamKey, count: int = 1) -> list[str]:
    return list(itertools.islice(candidates(kind, key), count))


class Claims:
    """Who claimed what, as the store keeps it."""

    def __init__(self) -> None:
        self.owners: dict[str, TeamKey] = {}

    def claim(self, key: TeamKey) -> TeamNames:
        names = claim(key, lambda name: self.owners.get(name, key) != key)
        self.owners.update(dict.fromkeys(all_names(names), key))
        return names


def test_a_name_follows_the_pattern_to_the_letter():
    names = claim(TeamKey("extend", "platform-sre"), lambda _: False)
    assert names == TeamNames(
        pipeline="ai-pipeline-extend-platform-sre",
        agent="agent-dedicated-extend-platform-sre",
        secret="team-runtime-extend-platform-sre",
        namespace="incidentfox-extend-platform-sre",
    )


def test_a_cron_job_keeps_dots_where_a_service_cannot():
    names = claim(TeamKey("a.b", "x"), lambda _: False)
    assert names.pipeline == "ai-pipeline-a.b-x"
    assert re.fullmatch(r"agent-dedicated-a-b-x-[0-9a-f]{8}", names.agent)
    assert re.fullmatch(r"incidentfox-a-b-x-[0-9a-f]{8}", names.namespace)


@pytest.mark.parametrize(
    ("org", "team"), [("Extend", "x"), ("a_b", "x"), ("a.-b", "x"), ("a" * 63, "b" * 63)]
)
def test_a_name_that_kubernetes_refuses_ends_in_eight_hex_digits(org: str, team: str):
    for name in all_names(claim(TeamKey(org, team), lambda _: False)):
        assert re.fullmatch(r"[a-z0-9-]+-[0-9a-f]{8}", name)


@pytest.mark.parametrize("length", range(30, 64))
def test_the_limit_itself_is_still_to_the_letter(length: int):
    org, team = "a" * length, "b"
    for kind, name in zip(KINDS, all_names(claim(TeamKey(org, team), lambda _: False)), strict=True):
        literal = f"{kind.prefix}-{org}-{team}"
        assert (name == literal) == (len(literal) <= kind.limit)


@pytest.mark.parametrize("step", recordings.steps("name-limits"), ids=recordings.note)
def test_takes_names_as_the_api_server_does(step: dict):
    kinds = {"CronJob": PIPELINE, "Service": AGENT, "Namespace": NAMESPACE}
    body = step["request"]["body"]
    if body["kind"] in kinds:
        assert kinds[body["kind"]].takes(body["metadata"]["name"]) == recordings.was_taken(step)


@given(team_keys(), st.sampled_from(KINDS))
def test_candidates_are_valid_different_and_always_the_same(key: TeamKey, kind: NameKind):
    names = first(kind, key, 200)
    assert names == first(kind, key, 200)
    assert len(set(names)) == 200
    assert all(kind.takes(name) for name in names)
    assert all(name.startswith(f"{kind.prefix}-") for name in names)
    assert all(LABEL.fullmatch(name) for name in names[1:])


def test_the_digest_is_over_the_exact_pair():
    keys = [
        TeamKey("a-b", "c"),
        TeamKey("a", "b-c"),
        TeamKey("A-b", "c"),
        TeamKey("a_b", "c"),
        TeamKey("a.b", "c"),
    ]
    names = [next(name for name in candidates(AGENT, key) if name != "agent-dedicated-a-b-c") for key in keys]
    assert len({name.rpartition("-")[2] for name in names}) == len(keys)


def test_whoever_comes_second_gets_another_name():
    claims = Claims()
    before = claims.claim(TeamKey("a-b", "c"))
    after = claims.claim(TeamKey("a", "b-c"))
    assert before.agent == "agent-dedicated-a-b-c"
    assert re.fullmatch(r"agent-dedicated-a-b-c-[0-9a-f]{8}", after.agent)


def test_a_claim_is_stable():
    claims = Claims()
    for key in (TeamKey("a-b", "c"), TeamKey("a", "b-c")):
        assert claims.claim(key) == claims.claim(key)


def test_nobody_can_take_all_names_of_another_team():
    victim = TeamKey("a", "b-c")
    claimed = set(first(AGENT, victim, 5000))
    name = next(name for name in candidates(AGENT, victim) if name not in claimed)
    assert AGENT.takes(name)


def test_a_look_alike_of_a_name_with_digest_does_not_block_its_owner():
    victim = TeamKey("a", "b-c")
    look_alikes = [
        TeamKey("a", name.removeprefix("agent-dedicated-a-")) for name in first(AGENT, victim, 3)[1:]
    ]
    claims = Claims()
    for key in (TeamKey("a-b", "c"), *look_alikes, victim):
        claims.claim(key)
    assert sum(owner == victim for owner in claims.owners.values()) == len(KINDS)


@given(st.lists(team_keys(), unique=True, max_size=30))
def test_no_two_teams_share_a_name(keys: list[TeamKey]):
    claims = Claims()
    names = [name for key in keys for name in all_names(claims.claim(key))]
    assert len(names) == len(set(names)) == len(KINDS) * len(keys)


def adversarial_pairs(count: int) -> list[TeamKey]:
    """Pairs made to be confused with one another, always the same ones."""
    rng = random.Random(7)
    keys: dict[TeamKey, None] = {}
    while len(keys) < count:
        parts = rng.choices(["a", "b", "A", "sre", "1", "x" * 20, "y" * 60], k=rng.randint(2, 5))
        text = rng.choice("-_.").join(parts)[:126].strip("-_.")
        cuts = [at for at, char in enumerate(text) if char in "-_."]
        for cut in cuts:
            org, team = (
                text[:cut].strip("-_.")[:63].strip("-_."),
                text[cut + 1 :].strip("-_.")[:63].strip("-_."),
            )
            keys[TeamKey(org, team)] = None
            keys[TeamKey(org.upper(), team)] = None
            for kind in (PIPELINE, AGENT):
                for name in first(kind, TeamKey(org, team), 3):
                    rest = name.removeprefix(f"{kind.prefix}-")
                    head, dash, tail = rest.partition("-")
                    if dash and len(tail) <= 63 and tail.strip("-.") == tail and head.strip(".") == head:
                        keys[TeamKey(head, tail)] = None
    return list(keys)[:count]


def test_ten_thousand_adversarial_pairs_share_nothing():
    claims = Claims()
    keys = adversarial_pairs(10_000)
    names = {key: claims.claim(key) for key in keys}
    for kind, of_kind in zip(KINDS, zip(*map(all_names, names.values()), strict=True), strict=True):
        assert len(set(of_kind)) == len(keys)
        assert all(kind.takes(name) for name in of_kind)
    assert all(claims.claim(key) == names[key] for key in keys)
