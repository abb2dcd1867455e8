"""What one pass came to."""

from dataclasses import dataclass

from orchestrator.store.teams import TeamRecord


class NotYet(Exception):
    """The world needs time; nothing is wrong.

    Attributes:
        waiting_for: what for, in words for people.
        look_again_s: when to look again, in seconds.
    """

    def __init__(self, waiting_for: str, *, look_again_s: float) -> None:
        super().__init__(waiting_for)
        self.waiting_for = waiting_for
        self.look_again_s = look_again_s


class BrakedError(Exception):
    """So many teams were to be put right at once that somebody has to say that this is meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A pass that went through."""

    #: The team as it now is.
    team: TeamRecord
    #: Whether the team's agent can answer, and if not, why.
    ready: bool = True
    ready_message: str = ""


def agent_outcome(team: TeamRecord, *, available: bool) -> Outcome:
    """Everything stands; whether the agent can answer is up to its pods, unless nobody is to be answered."""
    if team.spec.suspended:
        return Outcome(team=team, ready=False, ready_message="the team is suspended")
    message = "" if available else f"Deployment {team.names.agent} is not available yet"
    return Outcome(team=team, ready=available, ready_message=message)
