import json
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain import egress, quantities
from orchestrator.domain.labels import check_key, check_value
from orchestrator.domain.manifests import (
    Manifest,
    Platform,
    kinds,
    needs_secret,
    object_namespace,
    render,
    render_secret,
    replicas,
    service_url,
)
from orchestrator.domain.naming import claim
from orchestrator.domain.team import (
    Autoscaling,
    Dedicated,
    Isolation,
    Mode,
    Resources,
    Sla,
    TeamKey,
    TeamSpec,
    Toleration,
)
from tests.strategies import specs, team_keys
from tests.unit.domain.pod_security import violations

KEY = TeamKey("extend", "platform-sre")
NAMES = claim(KEY, lambda _: False)
PLATFORM = Platform(
    agent_image="agent:1", pipeline_image="pipeline:1", config_service_url="http://config-service:8081"
)


def rendered(spec: TeamSpec, platform: Platform = PLATFORM) -> dict[tuple[str, str], Manifest]:
    objects = {
        (manifest["kind"], manifest["metadata"]["name"]): manifest
        for manifest in render(KEY, spec, NAMES, platform)
    }
    assert len(objects) == len(render(KEY, spec, NAMES, platform))
    return objects


def dedicated(pipeline_schedule: str | None = None, **wanted: Any) -> TeamSpec:
    return TeamSpec(
        deployment_mode=Mode.DEDICATED, dedicated=Dedicated(**wanted), pipeline_schedule=pipeline_schedule
    )


def agent_deployment(spec: TeamSpec, platform: Platform = PLATFORM) -> Manifest:
    return rendered(spec, platform)["Deployment", NAMES.agent]["spec"]


def agent_pod(spec: TeamSpec, platform: Platform = PLATFORM) -> Manifest:
    return agent_deployment(spec, platform)["template"]["spec"]


def kinds_of(spec: TeamSpec) -> list[str]:
    return [manifest["kind"] for manifest in render(KEY, spec, NAMES, PLATFORM)]


def nodes(value: Any) -> Iterator[Any]:
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from nodes(child)


def pod_templates(objects: list[Manifest]) -> list[Manifest]:
    return [node["template"] for manifest in objects for node in nodes(manifest) if _has_pod_template(node)]


def _has_pod_template(node: Any) -> bool:
    return isinstance(node, dict) and "containers" in node.get("template", {}).get("spec", {})


def selectors(objects: list[Manifest]) -> list[dict[str, str]]:
    """Every selector of a team's own pods (those that are not empty, and name our labels)."""
    found = [node.get("matchLabels", node) for manifest in objects for node in _selectors(manifest)]
    return [selector for selector in found if "incidentfox.io/org-id" in selector]


def _selectors(manifest: Manifest) -> Iterator[dict[str, Any]]:
    for node in nodes(manifest):
        if isinstance(node, dict):
            names = ("selector", "podSelector", "labelSelector")
            yield from (node[name] for name in names if isinstance(node.get(name), dict))


def selects(selector: dict[str, str], template: Manifest) -> bool:
    return selector.items() <= template["metadata"]["labels"].items()


@given(team_keys(), specs())
def test_rendering_is_deterministic_plain_and_complete(key: TeamKey, spec: TeamSpec):
    names = claim(key, lambda _: False)
    objects = render(key, spec, names, PLATFORM)
    assert objects == render(key, spec, names, PLATFORM)
    assert json.loads(json.dumps(objects, allow_nan=False)) == objects
    every = list(nodes(objects))[1:]
    assert None not in every
    assert "" not in every
    # The one emptiness that says something: all pods of a namespace.
    assert [] not in every
    assert sum(node == {} for node in every) == ("Namespace" in [one["kind"] for one in objects])
    order = [kind.kind for kind in kinds()]
    positions = [order.index(manifest["kind"]) for manifest in objects]
    assert positions == sorted(positions)


@given(team_keys(), specs())
def test_everything_carries_the_labels_and_lives_in_one_place(key: TeamKey, spec: TeamSpec):
    names = claim(key, lambda _: False)
    objects = render(key, spec, names, PLATFORM)
    namespace = object_namespace(spec, names, PLATFORM)
    objects.append(render_secret(key, names, namespace, token="t", token_id="1"))
    known = {(kind.api_version, kind.kind): kind for kind in kinds()}
    for manifest in (*objects, *pod_templates(objects)):
        labels = manifest["metadata"]["labels"]
        assert labels["incidentfox.io/org-id"] == key.org_id
        assert labels["incidentfox.io/team-node-id"] == key.team_node_id
        assert labels["app.kubernetes.io/part-of"] == "incidentfox"
        assert labels["app.kubernetes.io/managed-by"] == "orchestrator"
        assert {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"} <= {
            *labels
        }
        assert not any(check_key(name) or check_value(value) for name, value in labels.items())
    for manifest in objects:
        kind = known[manifest["apiVersion"], manifest["kind"]]
        assert manifest["metadata"].get("namespace") == (namespace if kind.namespaced else None)


@given(team_keys(), team_keys(), specs(), specs())
def test_selectors_match_their_own_pods_and_nobody_elses(
    key: TeamKey, other: TeamKey, spec: TeamSpec, others_spec: TeamSpec
):
    objects = render(key, spec, claim(key, lambda _: False), PLATFORM)
    others = render(other, others_spec, claim(other, lambda _: False), PLATFORM)
    for selector in selectors(objects):
        assert any(selects(selector, template) for template in pod_templates(objects))
        if key != other:
            assert not any(selects(selector, template) for template in pod_templates(others))


@given(specs())
def test_no_selector_mixes_agent_and_pipeline(spec: TeamSpec):
    templates = pod_templates(render(KEY, spec, NAMES, PLATFORM))
    for selector in selectors(render(KEY, spec, NAMES, PLATFORM)):
        assert sum(selects(selector, template) for template in templates) == 1


@given(specs())
def test_pods_hold_to_the_restricted_standard(spec: TeamSpec):
    for template in pod_templates(render(KEY, spec, NAMES, PLATFORM)):
        pod = template["spec"]
        assert violations(pod) == []
        assert pod["automountServiceAccountToken"] is False
        assert all(one["securityContext"]["readOnlyRootFilesystem"] for one in pod["containers"])


def test_the_checker_of_the_standard_finds_something():
    pod = agent_pod(dedicated())
    (container,) = pod["containers"]
    assert violations({**pod, "hostNetwork": True})
    assert violations({**pod, "containers": [{**container, "securityContext": {}}]})
    assert violations({**pod, "volumes": [{"name": "host", "hostPath": {"path": "/"}}]})


@given(specs())
def test_every_pod_has_an_account_of_its_own_without_a_token(spec: TeamSpec):
    objects = render(KEY, spec, NAMES, PLATFORM)
    accounts = {one["metadata"]["name"]: one for one in objects if one["kind"] == "ServiceAccount"}
    used = [template["spec"]["serviceAccountName"] for template in pod_templates(objects)]
    assert sorted(used) == sorted(accounts)
    assert all(one["automountServiceAccountToken"] is False for one in accounts.values())


@given(specs())
def test_containers_ask_for_no_more_than_they_may_use(spec: TeamSpec):
    for template in pod_templates(render(KEY, spec, NAMES, PLATFORM)):
        (container,) = template["spec"]["containers"]
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert {"cpu", "memory"} <= requests.keys() == limits.keys()
        for name, quantity in requests.items():
            assert quantities.canonical(quantity) == quantity
            assert quantities.parse(quantity) <= quantities.parse(limits[name])


def test_a_shared_team_without_pipeline_has_nothing():
    assert kinds_of(TeamSpec()) == []
    assert not needs_secret(TeamSpec())


def test_a_shared_team_with_pipeline_has_a_cron_job():
    spec = TeamSpec(pipeline_schedule="0 2 * * *")
    assert kinds_of(spec) == ["ServiceAccount", "CronJob"]
    assert needs_secret(spec)


def test_a_dedicated_team_has_an_agent():
    assert kinds_of(dedicated()) == ["NetworkPolicy", "ServiceAccount", "Service", "Deployment"]
    assert kinds_of(TeamSpec(deployment_mode=Mode.DEDICATED)) == kinds_of(dedicated())
    assert needs_secret(dedicated())


def test_a_dedicated_team_with_everything():
    spec = dedicated(
        pipeline_schedule="@daily",
        isolation=Isolation.NAMESPACE,
        autoscaling=Autoscaling(min_replicas=2, max_replicas=4),
    )
    assert list(rendered(spec)) == [
        ("Namespace", NAMES.namespace),
        ("ResourceQuota", NAMES.agent),
        ("LimitRange", NAMES.agent),
        ("NetworkPolicy", "default-deny"),
        ("NetworkPolicy", NAMES.agent),
        ("NetworkPolicy", NAMES.pipeline),
        ("ServiceAccount", NAMES.agent),
        ("ServiceAccount", NAMES.pipeline),
        ("Service", NAMES.agent),
        ("Deployment", NAMES.agent),
        ("PodDisruptionBudget", NAMES.agent),
        ("HorizontalPodAutoscaler", NAMES.agent),
        ("CronJob", NAMES.pipeline),
    ]


def test_the_cron_job_runs_the_pipeline_once_at_a_time():
    spec = TeamSpec(pipeline_schedule="H 2 * * *", pipeline_time_zone="Europe/Paris")
    job = rendered(spec)["CronJob", NAMES.pipeline]["spec"]
    assert job["timeZone"] == "Europe/Paris"
    assert job["concurrencyPolicy"] == "Forbid"
    assert job["startingDeadlineSeconds"] >= 3600
    minute, rest = job["schedule"].split(" ", 1)
    assert (int(minute) in range(60), rest) == (True, "2 * * *")
    template = job["jobTemplate"]["spec"]["template"]
    assert template["spec"]["restartPolicy"] == "Never"
    (container,) = template["spec"]["containers"]
    assert container["image"] == "pipeline:1"
    assert container["command"] == [
        *("python", "-m", "ai_pipeline", "run-scheduled"),
        *("--org-id", "extend", "--team-id", "platform-sre"),
    ]


def environment(pod: Manifest) -> dict[str, Any]:
    (container,) = pod["containers"]
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


@pytest.mark.parametrize("folder", [None, "/exports"])
def test_the_pipeline_finds_exports_where_the_installation_says(folder: str | None):
    platform = replace(PLATFORM, slack_export_dir=folder)
    job = rendered(TeamSpec(pipeline_schedule="@daily"), platform)["CronJob", NAMES.pipeline]
    (template,) = pod_templates([job])
    assert environment(template["spec"]).get("SLACK_EXPORT_DIR") == folder


@given(specs())
def test_programs_find_their_team_and_its_credential(spec: TeamSpec):
    for template in pod_templates(render(KEY, spec, NAMES, PLATFORM)):
        pod = template["spec"]
        found = environment(pod)
        assert (found["ORG_ID"], found["TEAM_NODE_ID"]) == ("extend", "platform-sre")
        assert found["CONFIG_SERVICE_URL"] == "http://config-service:8081"
        mounts = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
        (secret,) = [volume for volume in pod["volumes"] if "secret" in volume]
        (item,) = secret["secret"]["items"]
        assert secret["secret"]["secretName"] == NAMES.secret
        assert found["TEAM_TOKEN_FILE"] == f"{mounts[secret['name']]}/{item['path']}"
        assert found["TEAM_TOKEN_FILE"] == "/var/run/secrets/incidentfox/token"


def test_the_secret_holds_the_token_that_pods_mount():
    secret = render_secret(KEY, NAMES, "incidentfox", token="s3cret", token_id="tok-1")
    assert secret["metadata"]["name"] == NAMES.secret
    assert secret["metadata"]["annotations"] == {"incidentfox.io/token-id": "tok-1"}
    assert b64decode(secret["data"]["token"]) == b"s3cret"
    assert secret["type"] == "Opaque"


def test_the_agent_answers_on_port_8000():
    spec = dedicated()
    (container,) = agent_pod(spec)["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 8000, "protocol": "TCP"}]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": "http"}
    assert environment(agent_pod(spec))["AGENT_PORT"] == "8000"
    (port,) = rendered(spec)["Service", NAMES.agent]["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (8000, "http")


def test_the_service_url_is_the_seeds():
    assert service_url(dedicated(), NAMES, PLATFORM) == (
        "http://agent-dedicated-extend-platform-sre.incidentfox.svc.cluster.local:8000"
    )
    assert service_url(dedicated(isolation=Isolation.NAMESPACE), NAMES, PLATFORM) == (
        "http://agent-dedicated-extend-platform-sre.incidentfox-extend-platform-sre.svc.cluster.local:8000"
    )


def test_wishes_reach_the_pod():
    pod = agent_pod(
        dedicated(
            image="agent:2",
            node_selector={"pool": "gpu"},
            tolerations=(Toleration(key="gpu", operator="Exists", effect="NoExecute", toleration_seconds=0),),
        )
    )
    assert pod["containers"][0]["image"] == "agent:2"
    assert pod["nodeSelector"] == {"pool": "gpu"}
    assert pod["tolerations"] == [
        {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}
    ]


def resources_of(wanted: Resources, sla: Sla = Sla.STANDARD) -> dict[str, dict[str, str]]:
    return agent_pod(dedicated(resources=wanted, sla=sla))["containers"][0]["resources"]


@pytest.mark.parametrize(
    ("requests", "limits", "expected"),
    [
        ({}, {}, ("100m", "500m")),
        ({"cpu": "0.2"}, {}, ("200m", "500m")),
        ({"cpu": "2"}, {}, ("2", "2")),
        ({}, {"cpu": "4"}, ("100m", "4")),
        ({}, {"cpu": "50m"}, ("50m", "50m")),
        ({"cpu": "1"}, {"cpu": "3"}, ("1", "3")),
    ],
)
def test_what_a_team_leaves_out_is_filled_in(requests: dict, limits: dict, expected: tuple[str, str]):
    filled = resources_of(Resources(requests=requests, limits=limits))
    assert (filled["requests"]["cpu"], filled["limits"]["cpu"]) == expected
    assert (filled["requests"]["memory"], filled["limits"]["memory"]) == ("128Mi", "512Mi")


@pytest.mark.parametrize("side", ["requests", "limits"])
def test_extended_resources_are_asked_for_and_limited_alike(side: str):
    filled = resources_of(Resources(**{side: {"example.com/gpu": "2"}}))
    assert filled["requests"]["example.com/gpu"] == filled["limits"]["example.com/gpu"] == "2"


@pytest.mark.parametrize(
    ("requests", "limits", "cpu"),
    [({}, {}, "500m"), ({"cpu": "2"}, {}, "2"), ({"cpu": "1"}, {"cpu": "2"}, "2"), ({}, {"cpu": "4"}, "4")],
)
def test_a_guaranteed_team_is_given_all_it_may_use(requests: dict, limits: dict, cpu: str):
    filled = resources_of(Resources(requests=requests, limits=limits), Sla.GUARANTEED)
    assert filled["requests"] == filled["limits"]
    assert filled["limits"]["cpu"] == cpu


def test_a_guaranteed_team_survives_a_node():
    spec = dedicated(sla=Sla.GUARANTEED, replicas=1)
    assert agent_deployment(spec)["replicas"] == 2
    pod = agent_pod(spec)
    assert pod["priorityClassName"] == "incidentfox-guaranteed"
    assert [one["topologyKey"] for one in pod["topologySpreadConstraints"]] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    assert ("PodDisruptionBudget", NAMES.agent) in rendered(spec)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Dedicated(), (1, 1)),
        (Dedicated(replicas=3), (3, 3)),
        (Dedicated(sla=Sla.GUARANTEED), (2, 2)),
        (Dedicated(replicas=9, autoscaling=Autoscaling(min_replicas=1, max_replicas=4)), (1, 4)),
        (Dedicated(sla=Sla.GUARANTEED, autoscaling=Autoscaling(min_replicas=1, max_replicas=4)), (2, 4)),
    ],
)
def test_the_range_of_replicas(wanted: Dedicated, expected: tuple[int, int]):
    assert replicas(wanted) == expected


@pytest.mark.parametrize(("count", "has_budget"), [(1, False), (2, True), (50, True)])
def test_a_budget_comes_with_the_second_replica(count: int, has_budget: bool):
    assert (("PodDisruptionBudget", NAMES.agent) in rendered(dedicated(replicas=count))) == has_budget


def test_replicas_are_left_to_the_autoscaler():
    spec = dedicated(autoscaling=Autoscaling(min_replicas=1, max_replicas=4, cpu_percent=70))
    assert "replicas" not in agent_deployment(spec)
    scaler = rendered(spec)["HorizontalPodAutoscaler", NAMES.agent]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (1, 4)
    assert scaler["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}


def policy(spec: TeamSpec, name: str = NAMES.agent, platform: Platform = PLATFORM) -> Manifest:
    return rendered(spec, platform)["NetworkPolicy", name]["spec"]


def test_only_the_orchestrator_may_ask_an_agent():
    platform = replace(PLATFORM, extra_ingress_cidrs=("10.1.0.0/16",))
    (rule,) = policy(dedicated(), platform=platform)["ingress"]
    assert rule == {
        "from": [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "incidentfox"}},
                "podSelector": {"matchLabels": {"app.kubernetes.io/name": "orchestrator"}},
            },
            {"ipBlock": {"cidr": "10.1.0.0/16"}},
        ],
        "ports": [{"protocol": "TCP", "port": 8000}],
    }


def test_an_agent_reaches_dns_config_and_the_public_internet():
    dns, config, internet = policy(dedicated())["egress"]
    assert {port["protocol"] for port in dns["ports"]} == {"UDP", "TCP"}
    assert dns["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert config["to"][0]["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "config-service"}}
    assert config["ports"] == [{"protocol": "TCP", "port": 8081}]
    assert internet["ports"] == [{"protocol": "TCP", "port": 443}]
    assert [peer["ipBlock"] for peer in internet["to"]] == [
        egress.ip_block("0.0.0.0/0"),
        egress.ip_block("::/0"),
    ]


def test_a_config_service_outside_the_cluster_is_reached_by_address():
    platform = replace(PLATFORM, config_service_cidrs=("192.0.2.1/32",), config_service_port=443)
    _, config, _ = policy(dedicated(), platform=platform)["egress"]
    assert config == {
        "to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}],
        "ports": [{"protocol": "TCP", "port": 443}],
    }


def test_no_networks_means_none_and_not_all():
    assert len(policy(dedicated(egress_cidrs=()))["egress"]) == 2
    _, _, rule = policy(dedicated(egress_cidrs=("10.0.0.0/8",)))["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


def test_nobody_may_ask_a_pipeline():
    spec = dedicated(pipeline_schedule="@daily", egress_cidrs=("203.0.113.0/24",))
    of_pipeline = policy(spec, NAMES.pipeline)
    assert of_pipeline["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in of_pipeline
    assert of_pipeline["egress"] == policy(spec)["egress"]


def test_a_namespace_is_closed_and_bounded():
    spec = dedicated(
        pipeline_schedule="@daily",
        isolation=Isolation.NAMESPACE,
        replicas=3,
        resources=Resources(limits={"memory": "2Gi"}),
    )
    objects = rendered(spec)
    labels = objects["Namespace", NAMES.namespace]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["pod-security.kubernetes.io/enforce-version"].startswith("v1.")
    deny = objects["NetworkPolicy", "default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert objects["ResourceQuota", NAMES.agent]["spec"]["hard"]["pods"] == "9"
    (limit,) = objects["LimitRange", NAMES.agent]["spec"]["limits"]
    assert limit["max"] == {"cpu": "1", "memory": "2Gi"}


@given(specs())
def test_the_bounds_of_a_namespace_leave_room_for_its_own_pods(spec: TeamSpec):
    objects = rendered(spec)
    if ("Namespace", NAMES.namespace) not in objects or spec.dedicated is None:
        return
    hard = objects["ResourceQuota", NAMES.agent]["spec"]["hard"]
    _, most = replicas(spec.dedicated)
    has_pipeline = spec.pipeline_schedule is not None
    assert int(hard["pods"]) >= most + 1 + has_pipeline
    (bound,) = objects["LimitRange", NAMES.agent]["spec"]["limits"]
    for template in pod_templates(list(objects.values())):
        (container,) = template["spec"]["containers"]
        for name, most_allowed in bound["max"].items():
            limit: Decimal = quantities.parse(container["resources"]["limits"][name])
            assert limit <= quantities.parse(most_allowed)
    for name, default in bound["default"].items():
        assert quantities.parse(bound["defaultRequest"][name]) <= quantities.parse(default)
        assert quantities.parse(default) <= quantities.parse(bound["max"][name])


@given(st.sampled_from(Isolation))
def test_the_namespace_follows_the_isolation(isolation: Isolation):
    spec = dedicated(isolation=isolation)
    own = isolation is Isolation.NAMESPACE
    assert object_namespace(spec, NAMES, PLATFORM) == (NAMES.namespace if own else "incidentfox")
    assert object_namespace(replace(spec, deployment_mode=Mode.SHARED), NAMES, PLATFORM) == "incidentfox"
