"""Hypothesis strategies for what callers may send, valid by construction."""

import string
from ipaddress import IPv4Network, IPv6Network

from hypothesis import strategies as st

from orchestrator.domain.team import (
    Autoscaling,
    Dedicated,
    Isolation,
    Mode,
    Resources,
    Sla,
    TeamKey,
    TeamSpec,
    Toleration,
)

_ALPHANUMERIC = string.ascii_letters + string.digits


def ids(max_size: int = 63) -> st.SearchStrategy[str]:
    """Valid `org_id`s and `team_node_id`s, with a leaning to those that collide."""
    long = st.from_regex(rf"\A[A-Za-z0-9]([A-Za-z0-9._-]{{0,{max_size - 2}}}[A-Za-z0-9])?\Z")
    confusable = st.lists(st.sampled_from("aAbB1-_."), max_size=8).map(lambda middle: f"a{''.join(middle)}b")
    return st.one_of(confusable, long, st.text(_ALPHANUMERIC, min_size=1, max_size=4))


def team_keys() -> st.SearchStrategy[TeamKey]:
    return st.builds(TeamKey, ids(), ids())


def schedules() -> st.SearchStrategy[str]:
    def one(first: int, last: int) -> st.SearchStrategy[str]:
        number = st.integers(first, last).map(str)
        span = st.tuples(st.integers(first, last), st.integers(first, last)).map(sorted)
        return st.one_of(
            st.sampled_from(["*", "?", "H", "*/2", "H/3"]),
            number,
            span.map(lambda ends: f"{ends[0]}-{ends[1]}"),
            span.map(lambda ends: f"H({ends[0]}-{ends[1]})"),
            st.lists(number, min_size=1, max_size=4).map(",".join),
        )

    fields = st.tuples(one(0, 59), one(0, 23), one(1, 31), one(1, 12), one(0, 6)).map(" ".join)
    return st.one_of(fields, st.sampled_from(["@hourly", "@daily", "@weekly", "@every 90m"]))


def time_zones() -> st.SearchStrategy[str]:
    return st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])


def channels() -> st.SearchStrategy[tuple[str, ...]]:
    channel = st.text(string.ascii_uppercase + string.digits, min_size=2, max_size=32)
    return st.lists(channel, unique=True, max_size=5).map(tuple)


@st.composite
def resources(draw: st.DrawFn) -> Resources:
    """Requests never above limits; either side, or both, may be missing."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for name, unit in (("cpu", "m"), ("memory", "Mi"), ("ephemeral-storage", "M"), ("example.com/gpu", "")):
        sides = draw(st.sampled_from(["none", "requests", "limits", "both"]))
        low, high = sorted(draw(st.tuples(st.integers(1, 5000), st.integers(1, 5000))))
        if sides in {"requests", "both"}:
            requests[name] = f"{high if unit == '' else low}{unit}"
        if sides in {"limits", "both"}:
            limits[name] = f"{high}{unit}"
    return Resources(requests=requests, limits=limits)


def tolerations() -> st.SearchStrategy[Toleration]:
    keys = st.sampled_from(["dedicated", "example.com/team"])
    effects = st.sampled_from([None, "NoSchedule", "PreferNoSchedule", "NoExecute"])
    return st.one_of(
        st.builds(Toleration, operator=st.just("Exists"), effect=effects),
        st.builds(Toleration, key=keys, operator=st.just("Exists"), effect=effects),
        st.builds(
            Toleration, key=keys, operator=st.sampled_from([None, "Equal"]), value=ids(), effect=effects
        ),
        st.builds(
            Toleration,
            key=keys,
            operator=st.just("Exists"),
            effect=st.just("NoExecute"),
            toleration_seconds=st.integers(0, 600),
        ),
    )


def _networks() -> st.SearchStrategy[str]:
    """Public or private networks, large and small, that are nobody's loopback, link-local or metadata."""
    fours = st.tuples(st.sampled_from([10, 8, 52, 172, 192, 203]), st.integers(8, 32)).map(
        lambda pair: str(IPv4Network((pair[0] << 24, pair[1])))
    )
    sixes = st.integers(16, 128).map(
        lambda length: str(IPv6Network((0x2001_0DB8 << 96, length), strict=False))
    )
    return st.one_of(st.sampled_from(["0.0.0.0/0", "::/0"]), fours, sixes)


@st.composite
def dedicated(draw: st.DrawFn) -> Dedicated:
    sla = draw(st.sampled_from(Sla))
    ends = sorted(draw(st.tuples(st.integers(1, 50), st.integers(2, 50))))
    scaling = Autoscaling(min_replicas=ends[0], max_replicas=ends[1], cpu_percent=draw(st.integers(1, 100)))
    return Dedicated(
        replicas=draw(st.integers(1, 50)),
        resources=draw(resources()),
        autoscaling=draw(st.sampled_from([None, scaling])),
        node_selector=draw(st.dictionaries(st.sampled_from(["pool", "example.com/zone"]), ids(), max_size=2)),
        tolerations=tuple(draw(st.lists(tolerations(), max_size=3))),
        isolation=draw(st.sampled_from(Isolation)),
        egress_cidrs=draw(st.none() | st.lists(_networks(), unique=True, max_size=4).map(tuple)),
        sla=sla,
        image=draw(st.sampled_from([None, "agent:2", "registry.example:5000/team/agent@sha256:" + "0" * 64])),
    )


@st.composite
def specs(draw: st.DrawFn) -> TeamSpec:
    """Wanted states that are valid."""
    mode = draw(st.sampled_from(Mode))
    return TeamSpec(
        slack_channel_ids=draw(channels()),
        pipeline_schedule=draw(st.none() | schedules()),
        pipeline_time_zone=draw(time_zones()),
        deployment_mode=mode,
        dedicated=draw(st.none() | dedicated()) if mode is Mode.DEDICATED else None,
        protected=draw(st.booleans()),
        restore_within=draw(st.sampled_from([None, "0", "72h", "1h30m"])),
    )
