"""Contract 4's first table and its names, sentence by sentence: what stands in the cluster after a call."""

import itertools
import re
from typing import Any

import pytest

from orchestrator.domain.objects import Manifest, Ref
from tests.integration.orchestrator.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count()


class Team:
    """A team of the test's own, and what the cluster has of it."""

    def __init__(self, world: World, org: str = "acme", team: str | None = None) -> None:
        self.world = world
        self.org = org
        self.team = team or f"team-{next(_numbers)}"
        self.agent = f"agent-dedicated-{org}-{self.team}"
        self.pipeline = f"ai-pipeline-{org}-{self.team}"

    async def provision(self, *, status: int = 200, prefer: str = "wait=20", **fields: Any) -> dict[str, Any]:
        """Dedicated with a pipeline, unless the fields say otherwise."""
        ids = {"org_id": self.org, "team_node_id": self.team, "slack_channel_ids": ...}
        response = await self.world.provision(prefer=prefer, **ids | fields)
        assert response.status_code == status, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def objects(self) -> dict[Ref, Manifest]:
        labels = {"incidentfox.io/org-id": self.org, "incidentfox.io/team-node-id": self.team}
        found: dict[Ref, Manifest] = await self.world.objects(**labels)
        return found

    async def names(self, kind: str) -> set[str]:
        return {ref.name for ref in await self.objects() if ref.kind == kind}

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest:
        found = await self.world.get(kind, name, namespace)
        assert found is not None, f"{kind} {name}"
        return found


def pods(deployment_or_cronjob: Manifest) -> Manifest:
    spec = deployment_or_cronjob["spec"]
    template: Manifest = (spec.get("jobTemplate", {"spec": spec})["spec"])["template"]
    return template


async def test_the_cronjob_is_as_the_contract_says(shared_world: World) -> None:
    team = Team(shared_world)
    await team.provision(deployment_mode="shared")

    cronjob = await team.get("CronJob", team.pipeline)
    spec, job = cronjob["spec"], cronjob["spec"]["jobTemplate"]["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("0 2 * * *", "UTC", "Forbid")
    assert spec["startingDeadlineSeconds"] >= 3600
    assert {"successfulJobsHistoryLimit", "failedJobsHistoryLimit"} <= set(spec)
    assert job["activeDeadlineSeconds"] > 0
    assert job["ttlSecondsAfterFinished"] > 0
    (container,) = pods(cronjob)["spec"]["containers"]
    assert set(container["resources"]) == {"requests", "limits"}
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    assert container["command"] == [
        *("python", "-m", "ai_pipeline", "run-scheduled"),
        *("--org-id", team.org, "--team-id", team.team),
    ]
    assert "args" not in container


async def test_a_time_zone_is_the_teams_own_when_it_has_one(shared_world: World) -> None:
    team = Team(shared_world)
    await team.provision(deployment_mode="shared", pipeline_time_zone="Europe/Paris")

    assert (await team.get("CronJob", team.pipeline))["spec"]["timeZone"] == "Europe/Paris"


async def test_deployment_and_service_meet_on_port_8000(shared_world: World) -> None:
    team = Team(shared_world)
    await team.provision()

    deployment = await team.get("Deployment", team.agent)
    service = await team.get("Service", team.agent)
    (container,) = pods(deployment)["spec"]["containers"]
    (port,) = service["spec"]["ports"]
    named = {item["name"]: item["containerPort"] for item in container["ports"]}
    assert port["port"] == 8000
    assert named[port["targetPort"]] == 8000
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] == "/health"
        assert named[container[probe]["httpGet"]["port"]] == 8000
    labels = pods(deployment)["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


async def test_no_pod_gets_a_token_of_the_api_server(shared_world: World) -> None:
    team = Team(shared_world)
    await team.provision()

    for owner in (await team.get("Deployment", team.agent), await team.get("CronJob", team.pipeline)):
        spec = pods(owner)["spec"]
        account = await team.get("ServiceAccount", spec["serviceAccountName"])
        assert spec["automountServiceAccountToken"] is False
        assert account["automountServiceAccountToken"] is False


async def test_the_teams_secret_is_a_file_in_its_own_pods_and_nowhere_else(shared_world: World) -> None:
    team, other = Team(shared_world), Team(shared_world)
    await team.provision()
    await other.provision()

    (secret,) = await team.names("Secret")
    for owner in (await team.get("Deployment", team.agent), await team.get("CronJob", team.pipeline)):
        spec = pods(owner)["spec"]
        (volume,) = [item for item in spec["volumes"] if "secret" in item]
        (container,) = spec["containers"]
        (mount,) = [item for item in container["volumeMounts"] if item["name"] == volume["name"]]
        assert volume["secret"]["secretName"] == secret
        assert mount["readOnly"] is True
        assert "envFrom" not in container
        assert not any("secretKeyRef" in (item.get("valueFrom") or {}) for item in container["env"])
        path = f"{mount['mountPath']}/token"
        assert {"name": "TEAM_TOKEN_FILE", "value": path} in container["env"]
    others = [
        pods(obj) for obj in (await other.objects()).values() if obj["kind"] in {"Deployment", "CronJob"}
    ]
    assert secret not in str(others)


async def test_a_network_policy_stands_before_the_agents_pods(shared_world: World) -> None:
    team = Team(shared_world)
    await team.provision()

    policy = await team.get("NetworkPolicy", team.agent)
    selected = policy["spec"]["podSelector"]["matchLabels"]
    assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert selected.items() <= pods(await team.get("Deployment", team.agent))["metadata"]["labels"].items()
    assert (
        policy["metadata"]["creationTimestamp"]
        <= (await team.get("Deployment", team.agent))["metadata"]["creationTimestamp"]
    )


async def test_all_pods_satisfy_the_restricted_standard(shared_world: World) -> None:
    team = Team(shared_world)
    await team.provision()

    for owner in (await team.get("Deployment", team.agent), await team.get("CronJob", team.pipeline)):
        spec = pods(owner)["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


async def test_a_disruption_budget_comes_with_the_second_replica_and_goes_with_it(
    shared_world: World,
) -> None:
    team = Team(shared_world)
    await team.provision()
    assert await team.names("PodDisruptionBudget") == set()

    await team.provision(dedicated={"replicas": 2})
    assert await team.names("PodDisruptionBudget") == {team.agent}

    answer = await team.provision(dedicated={"replicas": 1})
    assert await team.names("PodDisruptionBudget") == set()
    assert ("PodDisruptionBudget", "deleted") in {
        (item["kind"], item["action"]) for item in answer["resources"]
    }


async def test_an_autoscaler_takes_the_replicas_over_and_gives_them_back(shared_world: World) -> None:
    team = Team(shared_world)
    await team.provision(dedicated={"replicas": 3})

    scaling = {"min_replicas": 2, "max_replicas": 6, "cpu_percent": 70}
    await team.provision(dedicated={"autoscaling": scaling})
    autoscaler = await team.get("HorizontalPodAutoscaler", team.agent)
    assert (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]) == (2, 6)
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == team.agent
    assert "f:replicas" not in str(_our_fields(await team.get("Deployment", team.agent)))
    assert await team.names("PodDisruptionBudget") == {team.agent}

    await team.provision(dedicated={"autoscaling": None})
    assert await team.names("HorizontalPodAutoscaler") == set()
    assert (await team.get("Deployment", team.agent))["spec"]["replicas"] == 3


def _our_fields(obj: Manifest) -> list[Manifest]:
    return [
        entry["fieldsV1"] for entry in obj["metadata"]["managedFields"] if entry["manager"] == "orchestrator"
    ]


async def test_handing_replicas_to_the_autoscaler_does_not_scale_down_first(shared_world: World) -> None:
    team = Team(shared_world)
    await team.provision(dedicated={"replicas": 5})

    await team.provision(dedicated={"autoscaling": {"min_replicas": 2, "max_replicas": 6}})

    deployment = await team.get("Deployment", team.agent)
    assert deployment["spec"]["replicas"] == 5
    assert "f:replicas" not in str(_our_fields(deployment))
    await team.provision(dedicated={"autoscaling": None, "replicas": 2})
    assert (await team.get("Deployment", team.agent))["spec"]["replicas"] == 2


async def test_a_guaranteed_team_is_of_the_class_guaranteed(shared_world: World) -> None:
    team = Team(shared_world)
    await team.provision(dedicated={"sla": "guaranteed", "resources": {"requests": {"cpu": "250m"}}})

    deployment = await team.get("Deployment", team.agent)
    spec = pods(deployment)["spec"]
    for container in spec["containers"]:
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    assert deployment["spec"]["replicas"] == 2
    assert spec["priorityClassName"]
    assert {item["topologyKey"] for item in spec["topologySpreadConstraints"]} >= {"kubernetes.io/hostname"}
    assert await team.names("PodDisruptionBudget") == {team.agent}


async def test_wishes_reach_the_pods(shared_world: World) -> None:
    team = Team(shared_world)
    wishes = {
        "node_selector": {"disk": "ssd"},
        "tolerations": [{"key": "team", "operator": "Equal", "value": "acme", "effect": "NoSchedule"}],
        "image": "registry.example/agent:7",
        "resources": {"limits": {"memory": "1Gi"}},
        "egress_cidrs": ["203.0.113.0/24"],
    }
    await team.provision(dedicated=wishes)

    spec = pods(await team.get("Deployment", team.agent))["spec"]
    assert spec["nodeSelector"] == wishes["node_selector"]
    assert spec["tolerations"] == wishes["tolerations"]
    assert spec["containers"][0]["image"] == wishes["image"]
    assert spec["containers"][0]["resources"]["limits"]["memory"] == "1Gi"
    egress = (await team.get("NetworkPolicy", team.agent))["spec"]["egress"]
    blocks = [peer["ipBlock"]["cidr"] for rule in egress for peer in rule["to"] if "ipBlock" in peer]
    assert blocks == wishes["egress_cidrs"]


async def test_cleared_wishes_leave_the_pods(shared_world: World) -> None:
    team = Team(shared_world)
    wishes = {"node_selector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}], "image": "agent:7"}
    await team.provision(dedicated=wishes)

    await team.provision(dedicated=dict.fromkeys(wishes))

    spec = pods(await team.get("Deployment", team.agent))["spec"]
    assert not {"nodeSelector", "tolerations"} & set(spec)
    assert spec["containers"][0]["image"] != "agent:7"


async def test_a_cleared_schedule_takes_the_pipeline_away(shared_world: World) -> None:
    team = Team(shared_world)
    await team.provision()

    answer = await team.provision(pipeline_schedule=None)

    assert answer["pipeline_cronjob"] is None
    assert not any(ref.name == team.pipeline for ref in await team.objects())
    assert await team.names("Deployment") == {team.agent}


async def test_shared_again_takes_everything_of_the_agent_away(shared_world: World) -> None:
    team = Team(shared_world)
    await team.provision(dedicated={"replicas": 2, "autoscaling": {"min_replicas": 2, "max_replicas": 3}})

    await team.provision(deployment_mode="shared")

    left = {(ref.kind, ref.name) for ref in await team.objects()}
    assert not any(name == team.agent for _, name in left)
    assert ("CronJob", team.pipeline) in left


async def test_isolation_is_a_namespace_of_the_teams_own(shared_world: World) -> None:
    team = Team(shared_world)
    answer = await team.provision(dedicated={"isolation": "namespace", "replicas": 2})

    name = answer["dedicated_deployment"]["namespace"]
    namespace = await team.get("Namespace", name)
    assert name == f"incidentfox-{team.org}-{team.team}"
    assert answer["pipeline_cronjob"]["namespace"] == name
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for kind in ("ResourceQuota", "LimitRange"):
        assert await _there(team, kind, name), kind
    deny = [
        policy["spec"]
        for policy in await _there(team, "NetworkPolicy", name)
        if policy["spec"]["podSelector"] == {}
    ]
    assert [set(spec["policyTypes"]) for spec in deny] == [{"Ingress", "Egress"}]
    assert not any(spec.get("ingress") or spec.get("egress") for spec in deny)
    for kind in ("Deployment", "Service", "CronJob", "Secret", "ServiceAccount", "PodDisruptionBudget"):
        assert await _there(team, kind, name), kind
    assert await team.objects() == {}  # nothing is outside
    url = answer["dedicated_deployment"]["service_url"]
    assert url == f"http://{team.agent}.{name}.svc.cluster.local:8000"


async def _there(team: Team, kind: str, namespace: str) -> list[Manifest]:
    labels = {"incidentfox.io/org-id": team.org, "incidentfox.io/team-node-id": team.team}
    found: list[Manifest] = await team.world.cluster.list(kind, namespace=namespace, labels=labels)
    return found


async def test_back_from_isolation_the_namespace_goes(shared_world: World) -> None:
    team = Team(shared_world)
    name = (await team.provision(dedicated={"isolation": "namespace"}))["dedicated_deployment"]["namespace"]

    answer = await team.provision(status=202, prefer="wait=1", dedicated={"isolation": "workload"})
    run = answer["provisioning_run_id"]
    assert "become available" in (await team.world.run(run))["waiting_for"]
    await team.world.make_available(team.agent)
    # This API server runs no controllers, so the namespace stays `Terminating`, as the recorded one did.
    await _until_going(team, name)

    config = await team.world.config(team.team, team.org)
    assert config is not None
    assert config["config"]["agent"]["dedicated_service_url"] == (
        f"http://{team.agent}.{team.world.namespace}.svc.cluster.local:8000"
    )
    assert f"Namespace {name}" in (await _waiting_for(team, run, "Namespace"))


async def _until_going(team: Team, namespace: str) -> None:
    run = (await team.world.http.get(f"/api/v1/admin/teams/{team.org}/{team.team}")).json()["last_run"]
    async for _ in team.world.plane.services.run_watch.follow(run["provisioning_run_id"]):
        if "deletionTimestamp" in (await team.get("Namespace", namespace))["metadata"]:
            return


async def _waiting_for(team: Team, run_id: str, word: str) -> str:
    async for run in team.world.plane.services.run_watch.follow(run_id):
        if word in (run.waiting_for or ""):
            return str(run.waiting_for)
    raise AssertionError(f"the run ended without waiting for {word}")


async def test_every_object_says_whose_it_is(shared_world: World) -> None:
    team = Team(shared_world, org="Acme.Corp", team="Team_A")
    await team.provision(dedicated={"replicas": 2})

    objects = (await team.objects()).values()
    assert {obj["kind"] for obj in objects} >= {"CronJob", "Deployment", "Service", "Secret", "NetworkPolicy"}
    for obj in objects:
        labels = obj["metadata"]["labels"]
        assert {f"app.kubernetes.io/{part}" for part in ("name", "instance", "component")} <= set(labels)
        assert labels["app.kubernetes.io/part-of"] == "incidentfox"
        assert labels["app.kubernetes.io/managed-by"] == "orchestrator"
        assert (labels["incidentfox.io/org-id"], labels["incidentfox.io/team-node-id"]) == (
            "Acme.Corp",
            "Team_A",
        )
        assert {entry["manager"] for entry in obj["metadata"]["managedFields"]} == {"orchestrator"}


async def test_look_alikes_never_select_one_anothers_pods(shared_world: World) -> None:
    one, other = Team(shared_world, "x-y", "z"), Team(shared_world, "x", "y-z")
    await one.provision()
    await other.provision()

    by_team = {}
    for team in (one, other):
        objects = (await team.objects()).values()
        (deployment,) = [obj for obj in objects if obj["kind"] == "Deployment"]
        (service,) = [obj for obj in objects if obj["kind"] == "Service"]
        by_team[team] = (deployment, service)
        assert deployment["metadata"]["name"] == service["metadata"]["name"]
    (first, _), (second, selecting) = by_team[one], by_team[other]
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert not selecting["spec"]["selector"].items() <= pods(first)["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("org", "team"),
    [("o" * 63, "t" * 63), ("Upper", "Case"), ("under_score", "x"), ("o" * 20, "t" * 25), ("a.b", "c")],
)
async def test_names_that_kubernetes_would_refuse_are_cut_and_marked(
    shared_world: World, org: str, team: str
) -> None:
    answer = await Team(shared_world, org, team).provision()

    for name, prefix, limit in (
        (answer["pipeline_cronjob"]["name"], "ai-pipeline", 52),
        (answer["dedicated_deployment"]["name"], "agent-dedicated", 63),
    ):
        pattern = f"{prefix}-{org}-{team}"
        assert len(name) <= limit
        assert name == pattern or re.fullmatch(rf"{prefix}-[a-z0-9-]+-[0-9a-f]{{8}}", name)
        fits = len(pattern) <= limit and re.fullmatch("[a-z0-9-]+", pattern)
        assert (name == pattern) is bool(fits) or "." in pattern


async def test_a_teams_name_never_changes(shared_world: World) -> None:
    one, other = Team(shared_world, "p-q", "r"), Team(shared_world, "p", "q-r")
    await one.provision()
    before = (await other.provision())["dedicated_deployment"]["name"]

    await shared_world.deprovision(org_id="p-q", team_node_id="r")
    assert (await other.provision(dedicated={"image": "agent:2"}))["dedicated_deployment"]["name"] == before
    await shared_world.deprovision(org_id="p", team_node_id="q-r")
    assert (await other.provision())["dedicated_deployment"]["name"] == before
    assert (await one.provision())["dedicated_deployment"]["name"] == "agent-dedicated-p-q-r"


async def test_the_address_in_the_config_is_exact(shared_world: World) -> None:
    team = Team(shared_world)
    await team.provision()

    config = await shared_world.config(team.team, team.org)
    assert config is not None
    assert config["config"]["agent"]["dedicated_service_url"] == (
        f"http://agent-dedicated-{team.org}-{team.team}.{shared_world.namespace}.svc.cluster.local:8000"
    )
