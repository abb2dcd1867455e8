import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_pipeline.redaction import MARK, redact

# Put together here, so that no scanner takes this file for a leak.
SLACK = "xoxb-" + "123456789012-abcdefABCDEF"
AWS = "AKIA" + "ABCDEFGHIJKLMNOP"
JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0" + ".c2lnbmF0dXJl"
KEY = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEow\nIBAA\n-----END RSA PRIVATE " + "KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"the bot token is {SLACK} ok", SLACK),
        (f"export AWS_ACCESS_KEY_ID={AWS}", AWS),
        (f"key {AWS}.", AWS),
        ("github ghp_" + "a1B2" * 9, "a1B2a1B2"),
        (f"curl -H 'Authorization: Bearer {JWT}' x", JWT),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        (f"look:\n{KEY}\nthat was it", "MIIEow"),
        ("-----BEGIN PRIVATE " + "KEY-----\nMIIEow cut off", "MIIEow"),
        ("password=hunter2", "hunter2"),
        ("Password: hunter2, and more", "hunter2"),
        ('{"db_password": "hun ter2"}', "hun ter2"),
        ("the password is hunter2", "hunter2"),
        ("PGPASSWORD='hunter2' psql", "hunter2"),
        ("api-key = k3y", "k3y"),
        ("client_secret=`s3cr3t`", "s3cr3t"),
        ("postgres://app:hunter2@db:5432/app", "hunter2"),
        ("https://hooks.slack.com/services/T0/B0/abc", "T0/B0/abc"),
        ("acme.pay." + "aB3dE6gH9" * 5, "aB3dE6gH9"),
    ],
)
def test_credentials_are_taken_out(text: str, secret: str) -> None:
    cleaned = redact(text)
    assert secret not in cleaned
    assert MARK in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "Rolled back with `kubectl rollout undo deployment/fraud-check` at 09:21",
        "pod payments-api-7d9f8b6c5d-x2x4z in namespace incidentfox-extend-platform-sre was OOMKilled",
        "image sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "commit 356a192b7913b04c54574d18c28d46e6395428ab broke it",
        "https://wiki.example.com/runbooks/payments-latency?page=2",
        "the password is expired, the token was rotated",
        "2026-03-02T08:35:00+00:00 p99=4.2s, mail a@example.com",
    ],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text(alphabet="ab:=/@-. \n\"'`TOKENtokenpassword1[]", max_size=120))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_token_is_found_in_any_surroundings(before: str, after: str) -> None:
    assert SLACK not in redact(f"{before} {SLACK} {after}")


@pytest.mark.parametrize(
    "piece", ["a-", "secret", "://a", "-----BEGIN PRIVATE " + "KEY-----", "aA1", "token: "]
)
def test_no_text_takes_long(piece: str) -> None:
    redact(piece * 40_000 + "!")
