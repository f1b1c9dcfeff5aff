"""Credentials by their shape, and what only looks like one."""

import pytest

from telemetry.detectors.detector import Detection
from telemetry.detectors.secrets import Secrets
from telemetry.secret_forms import FORMS
from tests.telemetry.detectors.credentials import SHAPES

RANDOM = "q7Wd2Xk9Lm4Zr8Tb1Yv6Np3Hs5Gc0Jf"
FOUND = [
    (f"api_key = {RANDOM}", "assigned-secret"),
    (f'"clientSecret": "{RANDOM}", "client_secret": "{RANDOM}"', "assigned-secret"),
    ("DB_PASSWORD='hunter2x'", "assigned-secret"),
    ("password: Sommer2026!", "assigned-secret"),
    (f'{{\\"token\\": \\"{RANDOM}\\"}}', "assigned-secret"),
    (f"line\\nsk-{RANDOM}", "api-key"),
    (f"line\\nhf_{RANDOM}", "huggingface-token"),
    (f"https://alice:{RANDOM}@example.com", "url-credentials"),
    (f"Bearer {RANDOM}", "bearer"),
    (f"mo1.0a1b2c3d.{RANDOM}.{RANDOM}", "commit-token"),
    (f"AGE-SECRET-KEY-1{RANDOM.upper()}{RANDOM.upper()}", "private-key"),
]
NOT_FOUND = [
    ("Bearer authentication is described in RFC 6750", "words"),
    ("Basic understanding of the law", "words"),
    ("-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", "a key that documentation left out"),
    ("password = getpass.getpass()", "code"),
    ("password: str", "a type"),
    ("token=abc123", "too short to be one"),
    ("api_key=YOUR-API-KEY-GOES-HERE-123", "a placeholder"),
    ("secret: ${VAULT_SECRET_2026_PRODUCTION}", "a reference to one"),
    ("postgres://user:password@localhost/db", "a sample"),
    ("postgres://postgres:postgres@localhost/db", "a sample"),
    ("ssh://git@github.com/a/b", "a name"),
    ("https://alice@example.com/", "a name"),
    (f"next_page_token={RANDOM}", "where to go on reading"),
    ("eyJwYWdlIjogMn0eyJwYWdlIjogMn0", "a cursor"),
    (f"pk_live_{RANDOM}", "what is published"),
    ("ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "filler"),
    ("risk-management-framework-of-the-bank-2026", "words"),
    ("sk-learn-pipeline-of-the-second-kind", "words"),
    ("4bf92f3577b34da6a3ce929d0e0e4736", "a trace's id"),
    ("sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "a digest"),
    ("tokens_in=900 max_tokens: 4096", "counts"),
    ("see https://example.com:8443/a/b?c=d#e", "an address"),
]


@pytest.mark.parametrize(("text", "kind"), FOUND)
@pytest.mark.parametrize("around", ["{}", "first line\n{}\nlast line", "<{}>"])
def test_detect_finds_a_credential(text: str, kind: str, around: str) -> None:
    assert kind in Secrets().detect(around.format(text)).kinds


@pytest.mark.parametrize(("text", "why"), NOT_FOUND)
def test_detect_finds_nothing_when_it_only_looks_like_one(text: str, why: str) -> None:
    assert Secrets().detect(text) == Detection(), why


def test_every_form_that_is_a_credential_is_measured() -> None:
    names = {form.name for form in FORMS} - {"email", "iban", "card", "secret", "commit-token"}
    assert names | {"assigned-secret"} == set(SHAPES)


def test_a_credential_has_the_name_of_its_vendor_and_is_found_once() -> None:
    detection = Secrets().detect(f'{{"api_key": "sk-ant-api03-{RANDOM}"}}')
    assert list(detection.kinds.items()) == [("anthropic-key", 1)]


def test_position_is_that_of_the_credential() -> None:
    text = f"before ghp_{RANDOM} after"
    (finding,) = Secrets().detect(text).findings
    assert text[finding.start : finding.end] == f"ghp_{RANDOM}"
