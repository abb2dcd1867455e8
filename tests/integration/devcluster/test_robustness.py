"""Whatever is sent, the API server refuses it in words and never stumbles."""

import asyncio
import copy

import httpx2
from hypothesis import given, settings
from hypothesis import strategies as st

from devcluster.api import create_app
from devcluster.registry import Registry
from tests.integration.devcluster.recordings import scenarios, steps_of

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def recorded_objects():
    """One request of every shape that was recorded, with the collection that takes it."""
    found = {}
    for scenario in scenarios():
        for step in steps_of(scenario):
            request, body = step["request"], step["request"].get("body")
            if isinstance(body, dict) and "metadata" in body and step["response"]["status"] == 201:
                path = request["path"]
                if request["method"] == "PATCH":
                    path = path.rpartition("/")[0]
                found.setdefault((body.get("kind"), scenario), (path, body))
    return [found[key] for key in sorted(found)]


def places_in(value, prefix=()):
    """The path of every value below an object."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*prefix, key)
        yield from places_in(inner, (*prefix, key))


def spoil(body, place, change):
    """Remove or replace what is at a place; `change` is the new value in a list, or nothing."""
    spoilt = copy.deepcopy(body)
    holder = spoilt
    for key in place[:-1]:
        holder = holder[key]
    if change:
        holder[place[-1]] = change[0]
    else:
        del holder[place[-1]]
    return spoilt


@st.composite
def spoilt_objects(draw):
    path, body = draw(st.sampled_from(recorded_objects()))
    for _ in range(draw(st.integers(1, 2))):
        places = list(places_in(body))
        if places:
            change = draw(st.lists(JSON, max_size=1))
            body = spoil(body, draw(st.sampled_from(places)), change)
    return path, body


def a_server():
    registry = Registry()
    registry.create({"kind": "Namespace", "metadata": {"name": "incidentfox"}}, manager="test")
    account = {"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "incidentfox"}}
    registry.create(account, manager="test")
    return create_app(registry, tokens={"token": "admin"}, pod_logs=None, service_proxy=None)


async def send(app, path, body):
    """Create, then apply over it what was sent."""
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app),
        base_url="http://api",
        headers={"Authorization": "Bearer token"},
    ) as client:
        created = await client.post(path, json=body)
        metadata = body.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        applied = await client.patch(
            f"{path}/{name or 'x'}" if isinstance(name, str) and name.isalnum() else f"{path}/x",
            json=body,
            params={"fieldManager": "test", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
        return [created, applied]


@settings(max_examples=300, deadline=None)
@given(spoilt_objects())
def test_no_object_makes_the_server_stumble(spoilt):
    path, body = spoilt
    for answer in asyncio.run(send(a_server(), path, body)):
        assert "Internal error occurred" not in answer.text, (body, answer.text)
