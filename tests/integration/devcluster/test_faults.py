"""Failures can be made to happen to single calls."""

import asyncio

import httpx2
import pytest

from devcluster.faults import Effect, Fault

PATH = "/api/v1/namespaces"
BODY = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}


async def test_a_refused_call_is_not_executed(api_server, client):
    api_server.faults.add(Fault(effect=Effect.REFUSE, method="POST", status=429, retry_after_s=3))
    answer = await client.post(PATH, json=BODY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert answer.json()["reason"] == "TooManyRequests"
    assert api_server.registry.find("Namespace", None, "x") is None


async def test_only_the_nth_call_that_fits_is_spoiled(api_server, client):
    api_server.faults.add(Fault(effect=Effect.REFUSE, path="namespaces$", nth=2))
    assert [(await client.get(PATH)).status_code for _ in range(3)] == [200, 503, 200]


async def test_a_dropped_answer_belongs_to_an_executed_call(api_server, client):
    api_server.faults.add(Fault(effect=Effect.DROP_ANSWER, method="POST"))
    with pytest.raises(httpx2.TransportError):
        await client.post(PATH, json=BODY)
    assert api_server.registry.find("Namespace", None, "x") is not None


async def test_a_hanging_call_hangs_until_the_client_gives_up(api_server, client):
    api_server.faults.add(Fault(effect=Effect.HANG))
    with pytest.raises(httpx2.ReadTimeout):
        await client.get(PATH, timeout=0.2)
    assert api_server.faults.hits == [("GET", PATH, Effect.HANG)]


async def test_a_delayed_call_is_executed_all_the_same(api_server, client):
    api_server.faults.add(Fault(effect=Effect.DELAY, delay_s=0.05))
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert (await client.get(PATH)).status_code == 200
    assert loop.time() - begun >= 0.05


async def test_without_rules_everything_passes(api_server, client):
    api_server.faults.add(Fault(effect=Effect.REFUSE))
    api_server.faults.clear()
    assert (await client.get(PATH)).status_code == 200
