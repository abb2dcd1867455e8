"""All objects that are wanted of a team, its Secret included, and all that it may have."""

from dataclasses import replace

from orchestrator.domain.manifests import (
    Platform,
    needs_secret,
    object_namespace,
    render,
    render_secret,
)
from orchestrator.domain.objects import Manifest, Ref
from orchestrator.domain.plan import WAVES
from orchestrator.domain.team import Dedicated, Mode, TeamKey, TeamNames, TeamSpec


def wanted_objects(key: TeamKey, spec: TeamSpec, names: TeamNames, platform: Platform) -> list[Manifest]:
    """Every object, in the order in which they are applied.

    The Secret is without its credential, which is minted when it is applied and known to nobody before.
    """
    objects = render(key, spec, names, platform)
    if needs_secret(spec):
        namespace = object_namespace(spec, names, platform)
        objects.append(render_secret(key, names, namespace, token="", token_id=""))
    return sorted(objects, key=lambda manifest: _wave(manifest["kind"]))


def possible_refs(key: TeamKey, spec: TeamSpec, names: TeamNames, platform: Platform) -> frozenset[Ref]:
    """What the team has by its spec, and the CronJob, Deployment and Service that everybody looks for."""
    everything = replace(
        TeamSpec(),
        pipeline_schedule="@daily",
        deployment_mode=Mode.DEDICATED,
        dedicated=Dedicated() if spec.dedicated is None else spec.dedicated,
    )
    telling = [
        manifest
        for manifest in render(key, everything, names, platform)
        if manifest["kind"] in {"CronJob", "Deployment", "Service"}
    ]
    return frozenset(Ref.of(manifest) for manifest in [*telling, *wanted_objects(key, spec, names, platform)])


def _wave(kind: str) -> int:
    return next(index for index, kinds in enumerate(WAVES) if kind in kinds)
