"""What can be wrong with a request, as types with facts; `servicekit.problems` turns them into HTTP."""

from servicekit.problems import Problem


class NodeExists(Problem):
    """A node {node_id} already exists in organisation {org_id}."""

    status, code = 409, "node_already_exists"


class NodeHasChildren(Problem):
    """Node {node_id} still has nodes below it; move or delete them first."""

    status, code = 409, "node_has_children"


class NodeIsNotATeam(Problem):
    """Node {org_id}/{node_id} exists and is not a team."""

    status, code = 409, "node_is_not_a_team"


class ChannelTaken(Problem):
    """Slack channel {channel} already belongs to team {owner}."""

    status, code = 409, "slack_channel_already_mapped"


class PatchTestFailed(Problem):
    """A `test` operation of the JSON Patch did not hold; nothing was changed."""

    status, code = 409, "patch_test_failed"


class VersionMismatch(Problem):
    """The config is at version {version}, which is not the one this request was made for."""

    status, code = 412, "version_mismatch"


class ProtectedPath(Problem):
    """{path} belongs to the control plane and cannot be written with this token."""

    status, code = 403, "protected_path"


def channel_taken(channel: str, *, org_id: str, team_node_id: str) -> ChannelTaken:
    """The refusal of a channel that another team has, with its owner for programs to read."""
    owner = f"{org_id}/{team_node_id}"
    message = f"{channel} already belongs to team {owner}."
    return ChannelTaken(
        channel=channel,
        owner=owner,
        errors=[{"field": "slack_channel_ids", "message": message}],
        extra={"channel": channel, "owner": {"org_id": org_id, "team_node_id": team_node_id}},
    )


def protected_path(path: str) -> ProtectedPath:
    """The refusal of a write to what only the control plane may write."""
    message = "Belongs to the control plane; only an installation admin may write it."
    return ProtectedPath(path=path, errors=[{"field": path, "message": message}])
