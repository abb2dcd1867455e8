"""The AI pipeline: a CronJob that learns from the team's Slack conversations."""

from orchestrator.domain import schedule
from orchestrator.domain.manifests import common
from orchestrator.domain.manifests.common import Manifest
from orchestrator.domain.manifests.platform import Platform
from orchestrator.domain.manifests.resources import as_manifest, effective
from orchestrator.domain.team import Resources, TeamKey, TeamNames, TeamSpec

#: A cluster starts only some ten jobs a second: thousands that are due at once need their time.
_STARTING_DEADLINE_SECONDS = 2 * 3600
#: A run that takes longer hangs.
_ACTIVE_DEADLINE_SECONDS = 3600
#: How long a finished run's pods and logs stay.
_KEPT_SECONDS = 24 * 3600


def resources(platform: Platform) -> Resources:
    """What the pipeline's container asks for and may use."""
    return effective(Resources(), platform.pipeline_resources)


def cron_job(key: TeamKey, spec: TeamSpec, names: TeamNames, platform: Platform, namespace: str) -> Manifest:
    """The schedule and its Jobs, for a team that has one.

    Raises:
        InvalidScheduleError: the schedule is none.
    """
    component = common.pipeline_component(names)
    # Said only when it is so: somebody who suspends a CronJob by hand is not overruled.
    suspended = {"suspend": True} if spec.suspended else {}
    template = {
        "metadata": {"labels": common.labels(key, component)},
        "spec": {
            **common.pod(names.pipeline, names, _container(key, platform)),
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 30,
        },
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": common.metadata(names.pipeline, namespace, key, component),
        "spec": {
            "schedule": schedule.resolve(spec.pipeline_schedule or "", key),
            "timeZone": spec.pipeline_time_zone,
            **suspended,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": _STARTING_DEADLINE_SECONDS,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "metadata": {"labels": common.labels(key, component)},
                "spec": {
                    "activeDeadlineSeconds": _ACTIVE_DEADLINE_SECONDS,
                    "backoffLimit": 2,
                    "ttlSecondsAfterFinished": _KEPT_SECONDS,
                    "template": template,
                },
            },
        },
    }


def _container(key: TeamKey, platform: Platform) -> Manifest:
    env = common.environment(key, platform)
    if platform.slack_export_dir is not None:
        env.append({"name": "SLACK_EXPORT_DIR", "value": platform.slack_export_dir})
    program = ["python", "-m", "ai_pipeline", "run-scheduled"]
    return {
        "name": "pipeline",
        "image": platform.pipeline_image,
        "imagePullPolicy": platform.image_pull_policy,
        "command": [*program, "--org-id", key.org_id, "--team-id", key.team_node_id],
        "env": env,
        "resources": as_manifest(resources(platform)),
    }
