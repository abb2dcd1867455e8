"""What a caller of the agent is told when there is no answer."""

from servicekit.problems import Problem


class AgentNotEnabled(Problem):
    """The agent {name} is not enabled for this team."""

    status, code = 404, "agent_not_enabled"


class ConfigUnusable(Problem):
    """The team's configuration cannot be used: {reason}"""  # noqa: D415 - the reason ends the sentence

    status, code = 409, "team_config_unusable"


class TeamBusy(Problem):
    """This team already has {limit} requests running; try again in a moment."""

    status, code = 429, "team_busy"

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit, headers={"Retry-After": "1"})


class RuntimeBusy(Problem):
    """The agent runtime is busy; try again in a moment."""

    status, code = 503, "runtime_busy"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})
