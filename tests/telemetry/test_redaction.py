"""No secret and no personal datum survives into what is stored."""

import datetime as dt
import json
import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.redaction import MASK, is_sensitive_key, redact, redact_text
from telemetry.secret_forms import FORMS

CANARY = "Zq7Canary9"
LONG = CANARY + "abcDEF0123456789xyzABC"
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJ{LONG}.{LONG}"

SECRETS = [
    f"mo_demo_a1B2c3D4_{LONG}{LONG}",
    f"mo1.0a1b2c3d.{LONG}.{LONG}",
    f"PuTTY-User-Key-File-2: ssh-rsa\nComment: x\nPrivate-Lines: 1\n{LONG}",
    f"https://hooks.slack.com/services/T0000/B0000/{LONG}",
    f"https://discord.com/api/webhooks/123456789012345678/{LONG}{LONG}",
    f"https://acme.webhook.office.com/webhookb2/{LONG}@{LONG}/IncomingWebhook/{LONG}",
    f"sk-ant-api03-{LONG}",
    f"sk-proj-{LONG}",
    f"glrt-{LONG}",
    f"GOCSPX-{LONG}",
    f"pypi-AgEIcHlwaS5vcmc{LONG}{LONG}",
    f"hf_{LONG}",
    f"npm_{LONG}",
    f"SG.{LONG}.{LONG}",
    f"hvs.{LONG}",
    f"12345678:AA{LONG}x",
    f"M{LONG[:24]}.abcdef.{LONG}",
    f"DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={LONG}{LONG}==;EndpointSuffix=core.windows.net",
    f"https://acme.blob.core.windows.net/c/b?sv=2024-11-04&sig={LONG}{LONG}%3D",
    f"a1b8Q~{LONG}",
    f"glsa_{LONG}_0a1b2c3d",
    f"Bearer {LONG}",
    f"authorization: bearer {LONG}",
    "Basic YWxpY2U6WnE3Q2FuYXJ5OQ==",
    JWT,
    "AKIAZQ7CANARY9AAAAAA",
    f"ghp_{LONG}",
    f"github_pat_{LONG}",
    f"xoxb-123-{LONG}",
    f"sk-{LONG}",
    f"sk_live_{LONG}",
    f"glpat-{LONG}",
    f"https://alice:{CANARY}@example.com/path",
    f"postgres://svc:{CANARY}@p@ss@db.internal/x",
    f"https://{CANARY}@example.com/repo.git",
    f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n{LONG}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\\n{LONG}",
    f"password={CANARY}",
    f'{{"db_password": "{CANARY} with spaces"}}',
    f"API_KEY: {CANARY}",
    f"zq7canary9.{CANARY}+tag@example.co.uk",
]
# No canary fits: what they are made of is digits and a few letters.
HEXADECIMAL = [f"SK{'0a1b2c3d' * 4}", f"dop_v1_{'0a1b2c3d' * 8}", f"dapi{'0a1b2c3d' * 4}", f"shpat_{'0a1b2c3d' * 4}"]
PERSONAL = [
    ("alice.smith@example.com", "alice.smith"),
    ("åsa@exämple.se", "åsa"),
    ("4111 1111 1111 1111", "1111"),
    ("5500-0055-5555-5559", "5559"),
    ("378282246310005", "378282246310005"),
    ("4111111111111111 12/28", "411111"),
    ("2 4111111111111111", "411111"),
    ("DE89 3704 0044 0532 0130 00", "0532"),
    ("gb29nwbk60161331926819", "601613"),
    ("AB12 SE45 5000 0000 0583 9825 7466 PLEASE", "5839"),
]
SENSITIVE = [
    *(
        "token",
        "key",
        "secret",
        "password",
        "passwd",
        "auth",
        "bearer",
        "credential",
        "credentials",
        "cookie",
        "Cookie",
    ),
    *("api_key", "apikey", "apiKey", "APIKey", "API_KEY", "x-api-key", "X-API-KEY", "Authorization", "private_key"),
    *(
        "access_token",
        "accessToken",
        "refresh-token",
        "commit_token",
        "client_secret",
        "temporary_secret",
        "dbPassword",
    ),
    *(
        "dbpassword",
        "password2",
        "password_hash",
        "set-cookie",
        "proxy-authorization",
        "access_tokens",
        "tokens",
        "keys",
    ),
    *(
        "jwt",
        "oauth",
        "pin",
        "ｔｏｋｅｎ",
        "to\u200bken",
        "aws.secret.key",
        "signature",
        "sessionid",
        "x" * 500 + "_token",
    ),
]
HARMLESS = [
    *("monkey", "author", "authority", "keyboard", "tokens_in", "prompt_tokens", "max_tokens", "idempotent", "hockey"),
    *("secretary", "tokenizer", "public_key", "token_count", "token_source", "customer_id", "session_id", "trace_id"),
    *("pinned", "spinner", "turkey", "passenger", "cookiecutter", "keynote", "tang", "title", ""),
]


@pytest.mark.parametrize("key", SENSITIVE)
def test_redact_masks_when_a_key_is_sensitive(key: str) -> None:
    assert is_sensitive_key(key)
    for value in [CANARY, [CANARY], {"a": CANARY}, 1234567]:
        redacted = redact({"outer": {key: value}})
        assert list(redacted.value["outer"].values()) == [MASK]
        assert len(redacted.masked_paths) == 1


@pytest.mark.parametrize("key", HARMLESS)
def test_redact_keeps_when_a_key_only_looks_sensitive(key: str) -> None:
    assert redact({key: "plain"}) == redact({key: "plain"})
    assert redact({key: "plain"}).value == {key: "plain"}
    assert redact({key: 12}).masked_paths == ()


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "before {} after", "({}),", "line\n{}\nline", "'{}'"])
def test_redact_masks_when_a_string_holds_a_secret(secret: str, around: str) -> None:
    redacted = redact({"note": around.format(secret)}, limit=10_000)
    assert "canary" not in redacted.value["note"].lower()
    assert "WnE3Q2FuYXJ5" not in redacted.value["note"]
    assert redacted.masked_paths == ("/note",)


@pytest.mark.parametrize(("text", "trace"), PERSONAL)
@pytest.mark.parametrize("around", ["{}", "pay {} now", "[{}]"])
def test_redact_masks_when_a_string_holds_a_personal_datum(text: str, trace: str, around: str) -> None:
    assert trace not in redact_text(around.format(text))


@pytest.mark.parametrize(
    "text",
    [
        "promo_code_discounts_for_the_whole_family_2026",
        "risk-management-framework-of-the-bank",
        "a basic understanding of the law",
        "order 4111111111111112 was sent",
        "1700000000000 ms",
        "dapi0a1b2c3d has SK0a1b2c3d and glsa_a_setting_of_this_program_of_ours",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "DE89 3704 0044 0532 0130 01",
        "tokens: 12, prompt_tokens=900",
        "see https://example.com:8443/a/b?c=d#e",
        "SELECT * FROM customer WHERE id = 42",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "2026-11-21T14:33:04.123456+00:00 keyboard=qwerty",
    ],
)
def test_redact_keeps_when_a_string_is_ordinary(text: str) -> None:
    assert redact(text) == redact(text)
    assert redact(text).value == text


@pytest.mark.parametrize("secret", HEXADECIMAL)
def test_redact_text_masks_when_a_secret_is_hexadecimal(secret: str) -> None:
    assert "0a1b2c3d" not in redact_text(f"key {secret}, please")


def test_redact_masks_when_a_number_is_a_card() -> None:
    assert redact({"card": 4111111111111111, "at": 1700000000000, "n": 10**400}).value == {
        "card": MASK,
        "at": 1700000000000,
        "n": "[cut: a number]",
    }


def test_redact_masks_when_a_key_itself_is_a_secret() -> None:
    redacted = redact({f"ghp_{LONG}": 1, f"ghp_{LONG}x": {"token": CANARY}})
    assert redacted.value == {"[masked github-token]": 1, "[masked github-token] #2": {"token": MASK}}
    assert redacted.masked_paths == ("/[masked github-token] #2/token",)


def test_redact_names_each_path_when_several_are_masked() -> None:
    redacted = redact({"a/b": [{"token": "x"}, {"mail": "alice@example.com"}], "password": None, "auth": True})
    assert redacted.masked_paths == ("/a~1b/0/token", "/a~1b/1/mail")
    assert redacted.value["password"] is None
    assert redacted.value["auth"] is True


def test_redact_bounds_when_a_value_is_deep_wide_or_of_other_types() -> None:
    deep: object = CANARY
    for _ in range(5_000):
        deep = [deep]
    assert "[cut: too deep]" in json.dumps(redact(deep).value)
    wide = redact({"rows": [{"a": 1}] * 100_000, "more": 1})
    assert len(wide.value["rows"]) < 2_000
    assert wide.value["rows"][-1] == "[cut]"
    now = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    assert redact([now, uuid.UUID(int=1), b"abc", object(), {1: 2}]).value == [
        *("2026-11-21 00:00:00+00:00", "00000000-0000-0000-0000-000000000001", "[3 bytes]", "[object]"),
        {"1": 2},
    ]


def test_redact_text_cuts_with_a_mark_when_longer_than_the_limit() -> None:
    assert redact_text("x" * 200) == "x" * 200
    assert redact_text("x" * 201) == "x" * 199 + "…"
    assert len(redact_text("x" * 1_000_000, limit=150)) == 150


@pytest.mark.parametrize("offset", range(180, 200))
def test_redact_text_leaves_no_part_when_the_cut_falls_into_a_secret(offset: int) -> None:
    assert "Zq7" not in redact_text("." * offset + f" ghp_{LONG}")


def test_redact_text_leaves_no_part_when_the_window_ends_in_a_secret() -> None:
    text = f"ghp_{'a' * 16_000} " + "." * 370 + f" ghp_{LONG}"
    for shift in range(40):
        assert "Zq7" not in redact_text("." * shift + text, limit=100_000)


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "a",
            "a@",
            "eyJ",
            "eyJ-",
            "sk-",
            "mo_a_",
            "://",
            "://a:",
            "-----BEGIN PRIVATE KEY-----",
            "DE89",
            "4 ",
            "4",
            " ",
        ),
        *(
            "password",
            "password=",
            "bearer ",
            "basic ",
            '"',
            "\\",
            "x.",
            "%",
            "a.b@c",
            "-",
            "xox",
            "AKIA",
            "é",
            "api key ",
        ),
    ],
)
def test_redact_text_is_quick_when_a_text_is_hostile(unit: str) -> None:
    begin = time.perf_counter()
    redact_text((unit * 262_144)[:262_144])
    assert time.perf_counter() - begin < 3  # a bound on hanging, not a benchmark


keys = st.sampled_from([*HARMLESS, "note", "args", "items"])
surroundings = st.text(st.sampled_from(" \n,;()<>\"'|"), max_size=3)
canaries = st.builds(
    lambda secret, before, after: {"form": before + secret + after},
    st.sampled_from(SECRETS),
    surroundings,
    surroundings,
) | st.builds(lambda key, value: {key: value}, st.sampled_from(SENSITIVE), st.just(CANARY) | st.lists(st.just(CANARY)))
nested = st.recursive(
    canaries,
    lambda inner: (
        st.lists(inner | st.integers() | st.text(max_size=5), min_size=1, max_size=3)
        | st.dictionaries(keys, inner, min_size=1, max_size=3)
        | st.tuples(inner, st.none())
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(nested, st.sampled_from([100, 200, 10_000]))
def test_no_canary_survives_when_it_is_anywhere_in_a_structure(value: object, limit: int) -> None:
    stored = json.dumps([redact(value, limit=limit).value, redact(value, limit=limit).masked_paths])
    assert "canary" not in stored.lower()
    assert "WnE3Q2FuYXJ5" not in stored


def test_each_form_is_reached_when_the_samples_are_masked() -> None:
    samples = " ".join([*SECRETS, *(text for text, _ in PERSONAL), *HEXADECIMAL])
    assert {form.name for form in FORMS} == {
        form.name for form in FORMS for match in form.pattern.finditer(samples) if form.extent(match) is not None
    }
