"""Every error that a real API server answered, told apart by what is to be done about it."""

from typing import Any

import httpx2
import pytest

from orchestrator.cluster.errors import ClusterAway, Conflicted, Missing, Refused, error_of, refusal
from orchestrator.domain.objects import Ref
from orchestrator.errors import ClusterForbade, ClusterRefused
from tests.unit.domain import recordings

REF = Ref("CronJob", "incidentfox", "ai-pipeline-extend-platform-sre")
#: Of calls that this product never makes: watches, discovery, events.
NOT_ASKED_BY_US = {"watch", "discovery", "events"}


def answer(status: int, body: Any = None, **stated: str) -> httpx2.Response:
    request = httpx2.Request("GET", "http://cluster/")
    headers = [(name.encode(), value.encode("latin-1")) for name, value in stated.items()]
    if isinstance(body, str):
        return httpx2.Response(status, text=body, headers=headers, request=request)
    return httpx2.Response(status, json=body, headers=headers, request=request)


def refused_steps() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{scenario}-{position}", step)
        for scenario in recordings.scenarios()
        if scenario not in NOT_ASKED_BY_US
        for position, step in enumerate(recordings.steps(scenario))
        if step["response"]["status"] >= 400
    ]


REFUSED = refused_steps()


def test_there_is_something_to_tell_apart():
    assert {step["response"]["status"] for _, step in REFUSED} >= {
        400,
        401,
        403,
        404,
        405,
        409,
        415,
        422,
        500,
    }


@pytest.mark.parametrize("step", [step for _, step in REFUSED], ids=[name for name, _ in REFUSED])
def test_a_recorded_error_is_what_it_says(step: dict[str, Any]):
    status, body = step["response"]["status"], step["response"]["body"]
    error = error_of(answer(status, body))

    if status == 401 or "because it is being terminated" in str(body):
        assert isinstance(error, ClusterAway)
        return
    expected = {404: Missing, 409: Conflicted}.get(status, Refused)
    assert type(error) is expected
    assert error.status == status
    assert error.message
    causes = (body.get("details") or {}).get("causes") or () if isinstance(body, dict) else ()
    assert error.causes == tuple(cause.get("field", "") for cause in causes)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    "body", [None, [], "", "<html>Bad gateway</html>", {"message": "etcdserver: leader changed"}]
)
def test_what_may_pass_is_away(status: int, body: Any):
    assert isinstance(error_of(answer(status, body)), ClusterAway)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("0", 0.0), ("soon", None), ("-1", None), ("", None), ("²", None)]
)
def test_an_answer_may_say_when_to_come_back(header: str, seconds: float | None):
    error = error_of(answer(429, {}, **{"Retry-After": header}))
    assert isinstance(error, ClusterAway)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize(
    "body",
    [{"details": None}, {"details": {"causes": None}}, {"details": {"causes": [{}]}}, {"message": None}, []],
)
def test_an_answer_that_is_not_quite_a_status_is_told_apart_all_the_same(body: Any):
    assert type(error_of(answer(422, body))) is Refused


@pytest.mark.parametrize(
    ("status", "kind"), [(403, ClusterForbade), (422, ClusterRefused), (400, ClusterRefused)]
)
def test_a_refusal_is_told_in_the_clusters_own_words(status: int, kind: type):
    causes = {"causes": [{"field": "spec.schedule", "message": "…"}]}
    error = error_of(answer(status, {"message": "no, because", "details": causes}))
    told = refusal(REF, error)
    assert type(told) is kind
    assert "no, because" in str(told)
    assert [item["field"] for item in told.errors] == ["spec.schedule"]
