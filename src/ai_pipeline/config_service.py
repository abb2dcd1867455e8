"""The pipeline's side of the Config Service: who it is, which channels it may read, what it has learned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import stamina

from ai_pipeline.errors import PipelineFailed

#: Shortest and longest wait that a `Retry-After` may ask for, in seconds.
MIN_RETRY_AFTER_S, MAX_RETRY_AFTER_S = 0.05, 30.0
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How patiently a Config Service that is away is asked again."""

    attempts: int = 8
    #: All attempts of one call together, in seconds.
    timeout_s: float = 120.0
    wait_initial_s: float = 0.5
    wait_max_s: float = 20.0
    wait_jitter_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom the pipeline's token stands for."""

    kind: str
    org_id: str | None
    team_node_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What became of entries that were sent."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: "Learned") -> "Learned":
        return Learned(
            created=self.created + other.created,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
        )


class ConfigService:
    """Every call is idempotent, so every call is repeated while the Config Service is away.

    Args:
        http: a client whose base URL is the Config Service and which has a timeout.
        read_token: gives the team's token; called for each attempt, since a rotation may come in between.
        retry: how patiently.
    """

    def __init__(
        self, http: httpx2.Client, read_token: Callable[[], str], retry: Retry | None = None
    ) -> None:
        self._http = http
        self._read_token = read_token
        self._retry = retry or Retry()

    def identity(self) -> Identity:
        """Whom the token stands for.

        Raises:
            PipelineFailed: the token is not accepted, or the Config Service stays away (as all calls here).
        """
        answer = self._call("GET", "/api/v1/auth/me")
        return Identity(
            kind=str(answer.get("kind")), org_id=answer.get("org_id"), team_node_id=answer.get("team_node_id")
        )

    def config(self) -> dict[str, Any]:
        """The team's effective configuration."""
        config = self._call("GET", "/api/v1/config/me/effective").get("config")
        if not isinstance(config, dict):
            raise PipelineFailed("the Config Service answered without a configuration")
        return config

    def learn(self, entries: Sequence[dict[str, Any]]) -> Learned:
        """Store entries, each under its own id."""
        answer = self._call("POST", "/api/v1/config/me/knowledge", {"entries": list(entries)})
        counts = {key: answer.get(key) for key in ("created", "updated", "unchanged")}
        return Learned(**{key: count for key, count in counts.items() if isinstance(count, int)})

    def checkpoint(self, name: str) -> Any:
        """The stored value; `None` when there never was one."""
        return self._call("GET", f"/api/v1/config/me/checkpoints/{name}", missing_is_empty=True).get("value")

    def save_checkpoint(self, name: str, value: dict[str, Any]) -> None:
        """Store a value for the next run."""
        self._call("PUT", f"/api/v1/config/me/checkpoints/{name}", {"value": value})

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, missing_is_empty: bool = False
    ) -> dict[str, Any]:
        try:
            response = self._send(method, path, body)
            if missing_is_empty and response.status_code == httpx2.codes.NOT_FOUND:
                return {}
            response.raise_for_status()
            answer = response.json() if response.content else {}
        except httpx2.HTTPStatusError as error:
            raise PipelineFailed(_refusal(method, path, error.response)) from error
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise PipelineFailed(f"the Config Service does not answer {method} {path}: {reason}") from error
        except ValueError as error:
            raise PipelineFailed(f"the Config Service answered {method} {path} with no JSON") from error
        return answer if isinstance(answer, dict) else {}

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> httpx2.Response:
        retry = self._retry
        for attempt in stamina.retry_context(
            on=_wait_hint,
            attempts=retry.attempts,
            timeout=retry.timeout_s,
            wait_initial=retry.wait_initial_s,
            wait_max=retry.wait_max_s,
            wait_jitter=retry.wait_jitter_s,
        ):
            with attempt:
                headers = {"Authorization": f"Bearer {self._read_token()}"}
                response = self._http.request(method, path, json=body, headers=headers)
                if _is_temporary(response.status_code):
                    response.raise_for_status()
        return response


def _is_temporary(status: int) -> bool:
    return status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR


def _wait_hint(error: Exception) -> bool | float:
    """Whether to try again, or after how many seconds when the Config Service says so."""
    if isinstance(error, httpx2.HTTPStatusError):
        wished = error.response.headers.get("Retry-After", "")
        if wished.isascii() and wished.isdecimal():
            return min(max(float(wished), MIN_RETRY_AFTER_S), MAX_RETRY_AFTER_S)
        return True
    return isinstance(error, httpx2.TransportError)


def _refusal(method: str, path: str, response: httpx2.Response) -> str:
    """One line about an answer that is no success, in the Config Service's own words where it has any."""
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        return "the Config Service does not accept the token in TEAM_TOKEN_FILE (unknown, expired or revoked)"
    try:
        problem = response.json()
    except ValueError:
        problem = None
    detail = problem.get("detail") if isinstance(problem, dict) else None
    line = f"the Config Service answered {method} {path} with {response.status_code}"
    return f"{line}: {' '.join(str(detail).split())}" if detail else line
