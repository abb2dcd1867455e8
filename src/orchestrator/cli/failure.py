"""How a command ends when it cannot do what it was asked: one message, one exit status, never a traceback."""

from collections.abc import Mapping
from typing import Any

#: Exit statuses; part of the interface, scripts rely on them. 2 (usage) is given by the argument parser too.
DONE, FAILED, USAGE, STILL_RUNNING = 0, 1, 2, 3


class Failure(Exception):
    """The command cannot go on.

    Attributes:
        message: what is the case, in one sentence.
        hints: what the person can do about it, or further facts, a line each.
        exit_status: the status of the process.
        http_status: what the API answered, when it did.
    """

    def __init__(
        self,
        message: str,
        *,
        hints: tuple[str, ...] = (),
        exit_status: int = FAILED,
        http_status: int | None = None,
    ) -> None:
        self.message = message
        self.hints = hints
        self.exit_status = exit_status
        self.http_status = http_status
        super().__init__(message)


class Unreachable(Failure):
    """The API cannot be reached, or the connection broke: asking again may help."""


def from_problem(status: int, problem: Mapping[str, Any]) -> Failure:
    """Tell an RFC 9457 problem document as a person reads it: the sentence, then each field to blame."""
    code = str(problem.get("type", "")).rpartition(":")[2]
    detail = str(problem.get("detail") or problem.get("title") or "The request was refused.")
    hints = [f"{error.get('field')}: {error.get('message')}" for error in problem.get("errors") or ()]
    if hints and hints[0] in detail:
        # The sentence tells the fields too; here each gets a line of its own.
        detail = detail.partition(hints[0])[0].rstrip(": ") or detail
    if run_id := problem.get("provisioning_run_id"):
        hints.append(f"See what happened: orchestrator runs get {run_id}")
    hints += _ADVICE.get(status, ())
    return Failure(
        f"{detail} ({' '.join(filter(None, (str(status), code)))})", hints=tuple(hints), http_status=status
    )


_ADVICE: Mapping[int, tuple[str, ...]] = {
    401: ("Name the token with --token or ORCHESTRATOR_ADMIN_TOKEN.",),
    503: ("Nothing was changed; the same command can be given again.",),
}
