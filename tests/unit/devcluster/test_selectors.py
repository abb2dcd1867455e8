import pytest

from devcluster.errors import BadRequest
from devcluster.selectors import matches_selector, parse_field_selector, parse_label_selector


def labelled(**labels):
    return {"metadata": {"name": "x", "namespace": "n", "labels": labels}}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a=1", True),
        ("a==1", True),
        ("a!=1", False),
        ("a=2", False),
        ("missing!=1", True),
        ("a in (1, 2)", True),
        ("a notin (1,2)", False),
        ("missing notin (1)", True),
        ("a", True),
        ("!a", False),
        ("!missing", True),
        ("a=1,b=2", True),
        ("a=1,b=3", False),
        ("empty=", True),
        ("a=1,", None),
        ("a=b=c", None),
        ("=1", None),
        ("a in 1", None),
        ("a in (1", None),
    ],
)
def test_label_selectors(text, fits):
    if fits is None:
        with pytest.raises(BadRequest):
            parse_label_selector(text)
    else:
        assert parse_label_selector(text)(labelled(a="1", b="2", empty="")) is fits


def test_no_text_selects_everything():
    assert parse_label_selector("") is None
    assert parse_field_selector("", "Pod") is None


def test_a_selector_object_with_expressions():
    selector = {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["2"]}]}
    assert matches_selector({"a": "1"}, selector)
    assert not matches_selector({"a": "2"}, selector)


def test_pods_can_be_selected_by_phase_and_node():
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}}
    assert parse_field_selector("status.phase=Running,spec.nodeName!=n2", "Pod")(pod)
    assert not parse_field_selector("status.phase!=Running", "Pod")(pod)


def test_other_fields_cannot_be_selected():
    with pytest.raises(BadRequest, match="field label not supported"):
        parse_field_selector("spec.replicas=1", "Deployment")
