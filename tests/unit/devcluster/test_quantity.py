import pytest

from devcluster.quantity import MalformedQuantity, canonical, parse


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1", "1"),
        ("0.5", "500m"),
        ("1.0", "1"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("0.1m", "1m"),
        ("100m", "100m"),
        ("1000", "1k"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("512Mi", "512Mi"),
        ("1e3", "1e3"),
        ("12e6", "12e6"),
        ("-1Gi", "-1Gi"),
        ("0", "0"),
        ("2G", "2G"),
        (".5", "500m"),
    ],
)
def test_a_quantity_has_one_way_of_being_written(text, written):
    assert canonical(text) == written
    assert canonical(written) == written


@pytest.mark.parametrize("text", ["", "lots", "1 Gi", "1gi", "Mi", "1.2.3", "--1", "１"])  # noqa: RUF001 - a wide digit on purpose
def test_other_text_is_refused(text):
    with pytest.raises(MalformedQuantity):
        parse(text)


def test_quantities_compare_as_numbers():
    assert parse("1Gi") > parse("1G")
    assert parse("1000m") == parse("1")
