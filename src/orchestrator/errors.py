"""What a caller may be told: each a type with facts; its docstring is the sentence, HTTP is mapped in servicekit."""

from servicekit.problems import Problem


class Conflict(Problem):
    """Base of every refusal because of what exists already."""

    status, code = 409, "conflict"


class ChannelTaken(Conflict):
    """Slack channel {channel} already belongs to team {owner}."""

    code = "slack_channel_already_mapped"

    @classmethod
    def by(cls, channel: str, owner: object) -> "ChannelTaken":
        """Channel `channel` belongs to `owner`; the field to blame is named too."""
        message = f"channel {channel} already belongs to team {owner}"
        return cls(channel=channel, owner=owner, errors=[{"field": "slack_channel_ids", "message": message}])


class ResourceOwnedByAnother(Conflict):
    """{kind} {name} in namespace {namespace} exists and is not this team's; it was left untouched."""

    code = "resource_owned_by_another"


class TeamIsLeaving(Conflict):
    """Team {team} is being deprovisioned."""

    code = "team_is_being_deprovisioned"


class TeamIsNotLeaving(Conflict):
    """Team {team} is not being deprovisioned, so there is nothing to release."""

    code = "team_is_not_being_deprovisioned"


class TeamProtected(Conflict):
    """Team {team} is protected; set `protected` to false first."""

    code = "team_protected"


class TeamSuspended(Problem):
    """Team {team} is suspended; resume it first."""

    status, code = 503, "team_suspended"


class NoPipeline(Conflict):
    """Team {team} has no pipeline; give it a `pipeline_schedule` first."""

    code = "team_has_no_pipeline"


class ClusterRefused(Problem):
    """The cluster refuses {kind} {name}: {message}"""  # noqa: D415 - the cluster's own words end the sentence

    status, code = 422, "cluster_refused"


class ClusterForbade(Problem):
    """The cluster forbids {kind} {name}: {message}"""  # noqa: D415 - the cluster's own words end the sentence

    status, code = 403, "cluster_forbade"


class ClusterAnswered(Problem):
    """The cluster answers: {message}"""  # noqa: D415 - the cluster's own words end the sentence

    status, code = 403, "cluster_forbade"


class IdempotencyKeyReused(Problem):
    """Idempotency key {key} was used before with another request."""

    status, code = 422, "idempotency_key_reused"


class DependencyAway(Exception):
    """A dependency does not answer at the moment; what was asked goes on when it is back.

    Attributes:
        dependency: `cluster`, `config_service` or `agent`.
        retry_after_s: what the dependency asked for, in seconds, when it did.
    """

    def __init__(self, dependency: str, cause: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{dependency} is away: {cause}")
        self.dependency = dependency
        self.cause = cause
        self.retry_after_s = retry_after_s
