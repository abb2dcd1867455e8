"""The teams that both sides provision: the seed's request, under ids that nobody has used yet."""

import base64
import secrets
from typing import Any

from orchestrator.domain.manifests import Platform
from orchestrator.domain.naming import claim
from orchestrator.domain.objects import MANAGED_BY_LABEL, Manifest, with_hash
from orchestrator.domain.team import Dedicated, Mode, TeamKey, TeamSpec
from orchestrator.domain.wanted import wanted_objects

SCHEDULE = "0 2 * * *"


def team_key(side: str, number: int) -> TeamKey:
    """The team of a side and a number."""
    return TeamKey(f"bench-{side}", f"team-{number:06d}")


def request_body(key: TeamKey, number: int, *, cpu: str | None = None) -> dict[str, Any]:
    """What a caller of the API sends for a dedicated team with a pipeline.

    Args:
        key: the team.
        number: makes the Slack channel unique.
        cpu: the agent's CPU request, to ask for a shape that the cluster has not seen yet.
    """
    body: dict[str, Any] = {
        "org_id": key.org_id,
        "team_node_id": key.team_node_id,
        "slack_channel_ids": [_channel(number)],
        "pipeline_schedule": SCHEDULE,
        "deployment_mode": "dedicated",
    }
    if cpu is not None:
        body["dedicated"] = {"resources": {"requests": {"cpu": cpu, "memory": "512Mi"}}}
    return body


def objects_of(key: TeamKey, number: int, platform: Platform) -> list[Manifest]:
    """The objects that the control plane makes of that request, as it sends them."""
    spec = TeamSpec(
        slack_channel_ids=(_channel(number),),
        pipeline_schedule=SCHEDULE,
        deployment_mode=Mode.DEDICATED,
        dedicated=Dedicated(),
    )
    wanted = wanted_objects(key, spec, claim(key, lambda _name: False), platform)
    return [_unwatched(with_hash(_with_credential(manifest))) for manifest in wanted]


def _unwatched(manifest: Manifest) -> Manifest:
    """The object under another manager's label of the same length.

    The orchestrator watches what is labelled as its own; the bare loop must not be slowed down by that.
    """
    metadata = manifest["metadata"]
    labels = metadata["labels"] | {MANAGED_BY_LABEL: "bare-applier"}
    return manifest | {"metadata": metadata | {"labels": labels}}


def _channel(number: int) -> str:
    return f"C{number:09d}"


def _with_credential(manifest: Manifest) -> Manifest:
    """The Secret as large as with a real token, which only the control plane can mint."""
    if manifest["kind"] != "Secret":
        return manifest
    token = base64.b64encode(secrets.token_urlsafe(48).encode()).decode()
    return manifest | {"data": dict.fromkeys(manifest["data"], token)}
