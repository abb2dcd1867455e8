from dataclasses import replace

import pytest
from hypothesis import given

from orchestrator.domain import egress, labels
from orchestrator.domain.team import Autoscaling, Dedicated, Mode, Resources, Sla, TeamSpec, Toleration
from orchestrator.domain.validation import FieldError, validate_spec
from tests.strategies import specs
from tests.unit.domain import recordings

GUARANTEED = Sla.GUARANTEED


def wrong(spec: TeamSpec) -> list[str]:
    return [error.field for error in validate_spec(spec)]


def of_dedicated(**wanted: object) -> list[str]:
    return wrong(TeamSpec(deployment_mode=Mode.DEDICATED, dedicated=Dedicated(**wanted)))


@given(specs())
def test_valid_states_pass(spec: TeamSpec):
    assert validate_spec(spec) == []


def test_names_the_field_as_the_api_does():
    resources = Resources(requests={"cpu": "lots"})
    spec = TeamSpec(deployment_mode=Mode.DEDICATED, dedicated=Dedicated(resources=resources))
    assert validate_spec(spec) == [
        FieldError(
            "dedicated.resources.requests.cpu", "must be a quantity such as '500m', '0.5', '2' or '1Gi'"
        )
    ]


def test_tells_everything_at_once():
    spec = TeamSpec(
        slack_channel_ids=("C1", "c2", "C1"),
        pipeline_schedule="60 * * * *",
        pipeline_time_zone="Local",
        restore_within="soon",
        dedicated=Dedicated(replicas=0),
    )
    assert wrong(spec) == [
        "slack_channel_ids[1]",
        "slack_channel_ids[2]",
        "pipeline_schedule",
        "pipeline_time_zone",
        "restore_within",
        "dedicated",
        "dedicated.replicas",
    ]


def test_a_time_zone_needs_no_schedule():
    assert wrong(TeamSpec(pipeline_time_zone="Europe/Paris")) == []


def test_a_team_has_at_most_500_channels():
    channels = tuple(f"C{number}" for number in range(501))
    assert wrong(TeamSpec(slack_channel_ids=channels[:500])) == []
    assert wrong(TeamSpec(slack_channel_ids=channels)) == ["slack_channel_ids"]


def test_dedicated_mode_needs_no_wishes():
    assert wrong(TeamSpec(deployment_mode=Mode.DEDICATED)) == []


@pytest.mark.parametrize(("replicas", "fields"), [(1, []), (50, []), (0, ["replicas"]), (51, ["replicas"])])
def test_replicas_have_bounds(replicas: int, fields: list[str]):
    assert of_dedicated(replicas=replicas) == [f"dedicated.{field}" for field in fields]


@pytest.mark.parametrize("step", recordings.steps("container-resources"), ids=recordings.note)
def test_takes_resources_as_the_api_server_does(step: dict):
    (container,) = step["request"]["body"]["spec"]["template"]["spec"]["containers"]
    given = {
        side: {name: str(value) for name, value in values.items()}
        for side, values in container["resources"].items()
    }
    assert (of_dedicated(resources=Resources(**given)) == []) == recordings.was_taken(step)


@pytest.mark.parametrize(
    ("requests", "limits", "field"),
    [
        ({"cpu": "2"}, {"cpu": "1999m"}, "requests.cpu"),
        ({"gpu": "1"}, {}, "requests.gpu"),
        ({}, {"kubernetes.io/gpu": "1"}, "limits.kubernetes.io/gpu"),
        ({}, {"x.kubernetes.io/gpu": "1"}, "limits.x.kubernetes.io/gpu"),
        ({}, {"requests.example.com/gpu": "1"}, "limits.requests.example.com/gpu"),
        ({}, {"example.com/-": "1"}, "limits.example.com/-"),
        ({}, {"example.com/gpu": "500m"}, "limits.example.com/gpu"),
        ({"example.com/gpu": "1"}, {"example.com/gpu": "2"}, "requests.example.com/gpu"),
        ({}, {"memory": "0"}, "limits.memory"),
        ({}, {"memory": "-1"}, "limits.memory"),
    ],
)
def test_resources_follow_the_rules_of_kubernetes(requests: dict, limits: dict, field: str):
    resources = Resources(requests=requests, limits=limits)
    assert of_dedicated(resources=resources) == [f"dedicated.resources.{field}"]


@pytest.mark.parametrize(
    ("scaling", "sla", "fields"),
    [
        (Autoscaling(min_replicas=1, max_replicas=1), Sla.STANDARD, []),
        (Autoscaling(min_replicas=2, max_replicas=50, cpu_percent=100), GUARANTEED, []),
        (Autoscaling(min_replicas=3, max_replicas=2), Sla.STANDARD, ["max_replicas"]),
        (Autoscaling(min_replicas=0, max_replicas=51), Sla.STANDARD, ["min_replicas", "max_replicas"]),
        (Autoscaling(min_replicas=1, max_replicas=1), GUARANTEED, ["max_replicas"]),
        (Autoscaling(min_replicas=1, max_replicas=2, cpu_percent=0), Sla.STANDARD, ["cpu_percent"]),
        (Autoscaling(min_replicas=1, max_replicas=2, cpu_percent=101), Sla.STANDARD, ["cpu_percent"]),
    ],
)
def test_autoscaling_has_bounds(scaling: Autoscaling, sla: Sla, fields: list[str]):
    assert of_dedicated(autoscaling=scaling, sla=sla) == [
        f"dedicated.autoscaling.{field}" for field in fields
    ]


def test_autoscaling_needs_a_request_to_measure_by():
    fields = of_dedicated(
        autoscaling=Autoscaling(min_replicas=1, max_replicas=2), resources=Resources(requests={"cpu": "0"})
    )
    assert fields == ["dedicated.resources.requests.cpu"]


@pytest.mark.parametrize(
    ("toleration", "fields"),
    [
        (Toleration(operator="Exists"), []),
        (Toleration(key="a", value="b"), []),
        (Toleration(key="a", operator="Exists", effect="NoExecute", toleration_seconds=0), []),
        (Toleration(), ["operator"]),
        (Toleration(operator="Equal", value="b"), ["operator"]),
        (Toleration(key="a", operator="Exists", value="b"), ["value"]),
        (Toleration(key="a", operator="In"), ["operator"]),
        (Toleration(key="a", effect="Never"), ["effect"]),
        (Toleration(key="a b"), ["key"]),
        (Toleration(key="a", value="b c"), ["value"]),
        (Toleration(key="a", effect="NoSchedule", toleration_seconds=5), ["effect"]),
        (Toleration(key="a", effect="NoExecute", toleration_seconds=2**63), ["toleration_seconds"]),
    ],
)
def test_tolerations_follow_the_rules_of_kubernetes(toleration: Toleration, fields: list[str]):
    assert of_dedicated(tolerations=(toleration,)) == [
        f"dedicated.tolerations[0].{field}" for field in fields
    ]


@pytest.mark.parametrize(
    ("selector", "fields"),
    [
        ({"example.com/pool": "a.b", "disk": ""}, []),
        ({"a b": "c"}, ["a b"]),
        ({"a": "b c"}, ["a"]),
        ({"/a": "b"}, ["/a"]),
        ({"EXAMPLE.com/a": "b"}, ["EXAMPLE.com/a"]),
        ({"a" * 64: "b"}, ["a" * 64]),
    ],
)
def test_node_selectors_are_labels(selector: dict[str, str], fields: list[str]):
    assert of_dedicated(node_selector=selector) == [f"dedicated.node_selector.{field}" for field in fields]


@pytest.mark.parametrize(
    "image",
    [
        "agent",
        "agent:1",
        "a/b/c__d:v1",
        "registry.example:5000/team",
        "Registry.Example/agent@sha256:" + "a" * 64,
        "localhost/agent",
        "[::1]:5000/agent",
    ],
)
def test_takes_images(image: str):
    assert of_dedicated(image=image) == []


@pytest.mark.parametrize(
    "image",
    [
        "",
        " ",
        "agent :1",
        "agent:1\n",
        "agent:",
        "Agent",
        "a//b",
        "agent@sha256:1",
        "é",
        "a" * 256,
        "a:" + "b" * 129,
    ],
)
def test_refuses_what_is_no_image(image: str):
    assert of_dedicated(image=image) == ["dedicated.image"]


@pytest.mark.parametrize(
    "cidr",
    ["0.0.0.0/0", "::/0", "10.0.0.0/8", "192.168.1.0/24", "203.0.113.7/32", "2001:db8::/32", "fd12::/16"],
)
def test_takes_networks_private_ones_too_when_named(cidr: str):
    assert of_dedicated(egress_cidrs=(cidr,)) == []


@pytest.mark.parametrize(
    "cidr",
    [
        "10.0.0.0",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/255.0.0.0",
        "010.0.0.0/8",
        "10.0.0.0/08",
        "x",
        "",
        "::/129",
        "2001:db8::1/32",
        "127.0.0.0/8",
        "127.0.0.1/32",
        "169.254.169.254/32",
        "169.254.0.0/16",
        "fe80::/64",
        "::1/128",
        "fe80::%eth0/64",
        "::ffff:10.0.0.0/104",
        "fd00:ec2::254/128",
        "224.0.0.1/32",
        "0.0.0.0/32",
        "1.1.1.1/32\n",
    ],
)
def test_refuses_networks_that_are_none_or_nobodys_business(cidr: str):
    assert of_dedicated(egress_cidrs=(cidr,)) == ["dedicated.egress_cidrs[0]"]


def test_a_network_is_listed_once():
    assert of_dedicated(egress_cidrs=("10.0.0.0/8", "10.0.0.0/8")) == ["dedicated.egress_cidrs[1]"]


def test_lists_have_an_end():
    cidrs = tuple(f"203.0.{number}.0/24" for number in range(101))
    assert of_dedicated(egress_cidrs=cidrs[:100]) == []
    assert of_dedicated(egress_cidrs=cidrs) == ["dedicated.egress_cidrs"]
    assert of_dedicated(tolerations=(Toleration(key="a"),) * 101) == ["dedicated.tolerations"]


@pytest.mark.parametrize("step", recordings.steps("label-values"), ids=recordings.note)
def test_takes_label_values_as_the_api_server_does(step: dict):
    sent = step["request"]["body"]["metadata"]["labels"]
    assert all(labels.check_value(value) is None for value in sent.values()) == recordings.was_taken(step)


def blocks(step: dict) -> list[dict]:
    rules = step["request"]["body"]["spec"].get("egress", [])
    return [peer["ipBlock"] for rule in rules for peer in rule.get("to", []) if "ipBlock" in peer]


@pytest.mark.parametrize("step", recordings.steps("network-policies"), ids=recordings.note)
def test_takes_networks_as_the_api_server_does(step: dict):
    for block in blocks(step):
        # What is wrong with `except` is not the caller's to say.
        if recordings.note(step) != "except outside":
            assert (egress.check_cidr(block["cidr"]) is None) == recordings.was_taken(step)


def test_a_larger_network_opens_nothing_private_in_it():
    assert egress.ip_block("0.0.0.0/0")["except"] == [
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "168.63.129.16/32",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
    ]
    assert egress.ip_block("8.0.0.0/6") == {"cidr": "8.0.0.0/6", "except": ["10.0.0.0/8"]}
    assert egress.ip_block("10.0.0.0/8") == {"cidr": "10.0.0.0/8"}
    assert egress.ip_block("100.64.0.0/10") == {"cidr": "100.64.0.0/10", "except": ["100.100.100.200/32"]}


def test_wrong_wishes_are_told_even_in_shared_mode():
    spec = TeamSpec(dedicated=Dedicated(image=""))
    assert wrong(spec) == ["dedicated", "dedicated.image"]
    assert wrong(replace(spec, dedicated=None)) == []
