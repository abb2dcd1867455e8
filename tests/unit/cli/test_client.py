import json

import httpx2
import pytest

from orchestrator.cli.client import Api, run_path, team_path
from orchestrator.cli.failure import Failure, Unreachable


class Line:
    """A connection that breaks `broken` times before the answer arrives."""

    def __init__(self, broken: int) -> None:
        self.broken = broken
        self.keys: list[str | None] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.keys.append(request.headers.get("idempotency-key"))
        if self.broken:
            self.broken -= 1
            raise httpx2.ReadError("broken")
        return httpx2.Response(200, json={"status": "succeeded"})


def api(answer) -> Api:
    return Api(httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://orchestrator"))


async def test_a_request_whose_answer_was_lost_is_sent_again_under_its_key():
    line = Line(broken=2)
    answer = await api(line).post("/x", {}, wait_s=30, idempotency_key="key")
    assert answer == {"status": "succeeded"}
    assert line.keys == ["key"] * 3


async def test_a_request_without_a_key_is_sent_once():
    line = Line(broken=1)
    with pytest.raises(Unreachable, match="broke"):
        await api(line).post("/x", {})
    assert len(line.keys) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, text="<html>a login page</html>"),
        httpx2.Response(302, headers={"Location": "/login"}),
        httpx2.Response(502, text="Bad gateway"),
        httpx2.Response(404, content=json.dumps(["not", "a", "problem"])),
    ],
    ids=["page", "redirect", "gateway", "list"],
)
async def test_an_answer_of_something_else_is_a_failure_that_names_the_address(answer):
    with pytest.raises(Failure) as failure:
        await api(lambda _: answer).get("/api/v1/admin/teams")
    assert "http://orchestrator/api/v1/admin/teams" in failure.value.message
    assert "--server" in failure.value.hints[-1]


def test_ids_cannot_leave_their_place_in_a_path():
    assert run_path("../../x?y") == "/api/v1/admin/provision/runs/..%2F..%2Fx%3Fy"
    assert team_path("a/b", "c#d") == "/api/v1/admin/teams/a%2Fb/c%23d"
