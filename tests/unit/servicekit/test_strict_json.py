import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.problems import Invalid, field_name
from servicekit.strict_json import parse

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), inner, max_size=4)
    ),
)


@given(plain)
def test_what_means_one_thing_is_read_as_it_is(document: Any):
    assert parse(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"\xff", "body"),
        (b"\xef\xbb\xbf{}", "body"),
        ("{}".encode("utf-16"), "body"),
        (b"[" * 100_000, "body"),
        (b"1" * 5000, "body"),
        (b"NaN", "body"),
        (b'{"a": [1, Infinity]}', "a[1]"),
        (b'{"a": {"b": 1e999}}', "a.b"),
        (b'{"a": 18446744073709551616}', "a"),
        (b'{"a": "\\u0000"}', "a"),
        (b'{"a": ["", "\\ud800"]}', "a[1]"),
        (b'{"a": {"\\udfff": 1}}', "a.?"),
        (b'{"a": {"b": 1, "c": 2, "b": 1}}', "a.b"),
        (b'{"a": ' + b"[" * 50 + b"]" * 50 + b"}", "a"),
    ],
)
def test_what_does_not_is_refused_with_its_field(body: bytes, field: str):
    with pytest.raises(Invalid) as refused:
        parse(body)
    assert [error["field"] for error in refused.value.errors] == [field]
    assert json.dumps(refused.value.errors, ensure_ascii=False).encode()


@given(st.recursive(st.floats() | st.text() | st.integers(), st.lists))
def test_what_passes_can_be_written_again(document: Any):
    try:
        read = parse(json.dumps(document).encode())
    except Invalid:
        return
    assert json.dumps(read, ensure_ascii=False, allow_nan=False).encode()
    assert not (isinstance(read, float) and math.isnan(read))


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ((), "body"),
        (("dedicated", "replicas"), "dedicated.replicas"),
        (("tolerations", 0, "key"), "tolerations[0].key"),
        (("path",), "path"),
        ((".",), "."),
        ((0, "org_id"), "[0].org_id"),
    ],
)
def test_a_field_is_named_as_its_caller_knows_it(location: tuple[int | str, ...], name: str):
    assert field_name(location) == name
