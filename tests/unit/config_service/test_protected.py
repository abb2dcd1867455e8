"""The keys that route or isolate."""

import pytest

from config_service.domain.ids import dedicated_url_pattern
from config_service.domain.protected import (
    Routing,
    changed,
    mentioned,
    read_routing,
    restore,
    with_routing,
    without_protected,
)
from servicekit.problems import Invalid

URL = "http://agent-dedicated-a-b.incidentfox.svc.cluster.local:8000"
PATTERN = dedicated_url_pattern(["incidentfox"])


def test_children_inherit_none_of_them():
    config = {"agent": {"mode": "dedicated", "model": "big"}, "routing": {"slack_channel_ids": ["C1"]}}
    assert without_protected(config) == {"agent": {"model": "big"}}


def test_what_held_nothing_else_is_not_inherited_at_all():
    assert without_protected({"agent": {"mode": "dedicated"}}) == {}


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"agent": {"mode": "shared"}}, "agent.mode"),
        ({"agent": {"mode": None}}, "agent.mode"),
        ({"agent": {"dedicated_service_url": "http://evil"}}, "agent.dedicated_service_url"),
        ({"routing": {"slack_channel_ids": []}}, "routing.slack_channel_ids"),
        ({"routing": None}, "routing"),
        ({"agent": {"model": "big"}, "tone": "dry"}, None),
        ({"agent": "text"}, None),
    ],
)
def test_a_patch_that_mentions_one_is_noticed(patch, path):
    assert mentioned(patch) == path


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ({"agent": {"mode": "shared"}}, {"agent": "text"}, "agent.mode"),
        ({"agent": {"mode": "shared"}}, {}, "agent.mode"),
        ({}, {"routing": {"x": 1}}, "routing.x"),
        ({"routing": {"x": 1}}, {"routing": {"x": True}}, "routing.x"),
        ({"agent": {"mode": "shared", "a": 1}}, {"agent": {"mode": "shared", "a": 2}}, None),
    ],
)
def test_a_change_is_noticed_however_it_came(before, after, path):
    assert changed(before, after) == path


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"agent": "text"}, "agent"),
        ({"routing": []}, "routing"),
        ({"agent": {"mode": "both"}}, "agent.mode"),
        ({"agent": {"mode": ["shared"]}}, "agent.mode"),
        ({"agent": {"dedicated_service_url": "http://evil:8000"}}, "agent.dedicated_service_url"),
        ({"agent": {"dedicated_service_url": 1}}, "agent.dedicated_service_url"),
        ({"routing": {"slack_channel_ids": "C1"}}, "routing.slack_channel_ids"),
        ({"routing": {"slack_channel_ids": ["c1"]}}, "routing.slack_channel_ids"),
        ({"routing": {"slack_channel_ids": ["C1\n"]}}, "routing.slack_channel_ids"),
        ({"routing": {"slack_channel_ids": [{}]}}, "routing.slack_channel_ids"),
        ({"routing": {"slack_channel_ids": ["C1", "C1"]}}, "routing.slack_channel_ids"),
        (
            {"routing": {"slack_channel_ids": [f"C{number}" for number in range(501)]}},
            "routing.slack_channel_ids",
        ),
    ],
)
def test_what_they_cannot_hold_is_refused_with_the_field(config, field):
    with pytest.raises(Invalid) as refused:
        read_routing(config, PATTERN)
    assert refused.value.errors[0]["field"] == field


def test_what_is_written_is_read_back():
    routing = Routing(slack_channel_ids=("C1", "C2"), mode="dedicated", dedicated_service_url=URL)
    config = with_routing({"tone": "dry", "agent": {"model": "big"}}, routing)
    assert read_routing(config, PATTERN) == routing
    assert config["tone"] == "dry"
    assert config["agent"]["model"] == "big"


def test_clearing_leaves_no_empty_rest():
    config = with_routing({}, Routing(slack_channel_ids=("C1",), mode="dedicated", dedicated_service_url=URL))
    assert with_routing(config, Routing(mode="shared")) == {"agent": {"mode": "shared"}}


def test_a_rollback_leaves_them_as_they_are():
    old = {"agent": {"mode": "shared", "model": "small"}, "tone": "dry"}
    now = {"agent": {"mode": "dedicated", "model": "big"}, "routing": {"slack_channel_ids": ["C1"]}}
    assert restore(old, now) == {
        "agent": {"mode": "dedicated", "model": "small"},
        "tone": "dry",
        "routing": {"slack_channel_ids": ["C1"]},
    }


@pytest.mark.parametrize(
    ("namespaces", "namespace", "allowed"),
    [
        (["*"], "anything", True),
        (["*"], "any.thing", False),
        (["incidentfox"], "incidentfox", True),
        (["incidentfox"], "incidentfox-a", False),
        (["incidentfox-*"], "incidentfox-a", True),
        (["incidentfox-*"], "incidentfox-a.evil", False),
        ([], "incidentfox", False),
    ],
)
def test_an_address_is_ours_in_our_namespaces_only(namespaces, namespace, allowed):
    url = f"http://agent-dedicated-a.{namespace}.svc.cluster.local:8000"
    assert bool(dedicated_url_pattern(namespaces).fullmatch(url)) is allowed
