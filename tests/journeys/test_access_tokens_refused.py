"""Access tokens that prove nothing: each claim and each header wrong in turn, forged in every known way."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from telemetry.models import AuditEvent, RefusalCount
from tests.issuer import public_jwk
from tests.journeys.access_tokens import (
    AUDIENCE,
    FINE,
    REFUSED,
    ask,
    caller,
    days,
    issuer,
    verdict,
)

__all__ = ("caller", "issuer")
pytestmark = pytest.mark.django_db


# what is refused: each claim wrong in turn


def test_a_token_with_a_wrong_claim_is_refused(caller, issuer):
    table = {
        "another issuer": {"iss": "https://issuer.example.com"},
        "no issuer": {"iss": None},
        "another audience": {"aud": "https://other.example.com/mcp"},
        "our audience and a slash": {"aud": AUDIENCE + "/"},
        "our origin": {"aud": "https://tools.example.com"},
        "no audience": {"aud": None},
        "audience that is no string": {"aud": {AUDIENCE: 1}},
        "audiences, none ours": {"aud": ["a", "b"]},
        "expired": {"exp": days(-1)},
        "expired beyond the leeway": {"exp": int(time.time()) - 60},
        "no expiry": {"exp": None},
        "expiry that is no number": {"exp": "tomorrow"},
        "expiry that is true": {"exp": True},
        "endless": {"exp": 1e300},
        "not a number": {"exp": float("nan")},
        "not yet": {"nbf": days(1)},
        "issued tomorrow": {"iat": days(1)},
        "no issuing time": {"iat": None},
        "no subject": {"sub": None},
        "empty subject": {"sub": ""},
        "subject that is no string": {"sub": 5},
        "subject with a NUL": {"sub": "alice\x00"},
        "very long subject": {"sub": "a" * 256},
        "two clients": {"client_id": "a", "azp": "b"},
    }
    assert verdict(ask(issuer.token())) == FINE
    found = {name: verdict(ask(issuer.token(**claims))) for name, claims in table.items()}
    assert found == dict.fromkeys(table, REFUSED)


def test_a_token_with_a_wrong_header_is_refused(caller, issuer):
    table = {
        "another type": {"typ": "logout+jwt"},
        "an id token's type": {"typ": "id_token"},
        "no type": {"typ": None},
        "type that is no string": {"typ": 5},
        "critical extension": {"crit": ["exp"], "exp": 1},
        "no key id": {"kid": None},
        "key id of nobody": {"kid": "k2"},
        "key id like a path": {"kid": "../../../../dev/null"},
        "key id like an address": {"kid": "https://evil.example.com/keys"},
        "very long key id": {"kid": "k" * 201},
    }
    assert verdict(ask(issuer.token())) == FINE
    found = {name: verdict(ask(issuer.token(header=header))) for name, header in table.items()}
    assert found == dict.fromkeys(table, REFUSED)


def test_what_the_standards_allow_is_taken(caller, issuer):
    for claims in (
        {"aud": ["x", AUDIENCE]},
        {"nbf": days(0) + 5},
        {"exp": days(0) - 5},
        {"client_id": None, "azp": "chat"},
    ):
        assert verdict(ask(issuer.token(**claims))) == FINE, claims
        assert verdict(ask(issuer.token(**claims, header={"typ": "JWT"}))) == FINE, claims


# what is refused: forged


def encoded(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed_with_the_public_key(issuer, key):
    """RS256 read as HS256: the published key as the secret."""
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = f"{encoded({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'k1'})}.{encoded(issuer.claims())}"
    return f"{text}.{encoded(hmac.digest(pem, text.encode(), hashlib.sha256))}"


def with_its_own_key(issuer, **header):
    other = ec.generate_private_key(ec.SECP256R1())
    return issuer.token(key=other, header={"jwk": public_jwk("k1", other), **header})


NESTED = b'{"a":' + b"[" * 2_500 + b"]" * 2_500 + b"}"
FORGED = {
    "no algorithm": lambda i: f"{encoded({'alg': 'none', 'typ': 'at+jwt', 'kid': 'k1'})}.{encoded(i.claims())}.",
    "no algorithm, in capitals": lambda i: f"{encoded({'alg': 'None', 'kid': 'k1'})}.{encoded(i.claims())}.x",
    "the public key as a secret": lambda i: signed_with_the_public_key(i, i.signing["k1"]),
    "another's key": lambda i: i.token(key=ec.generate_private_key(ec.SECP256R1())),
    "a key that it brings": with_its_own_key,
    "a key that it points at": lambda i: with_its_own_key(i, jku=f"{i.url}/evil", x5u=f"{i.url}/evil"),
    "a key that it brings under its own id": lambda i: with_its_own_key(i, kid="evil"),
    "changed after it was signed": lambda i: i.token()[:-8] + "AAAAAAAA",
    "other claims under a signature": lambda i: ".".join(
        [i.token().split(".")[0], encoded(i.claims(sub="root")), i.token().split(".")[2]]
    ),
    "too long": lambda i: i.token(more="x" * 9_000),
    "a header nested deeply": lambda i: f"{encoded(NESTED)}.e30.e30",
    "a header cut off": lambda i: f"{encoded(NESTED[:3_000])}.e30.e30",
    "not JSON": lambda i: "eyJub3Q.eyJub3Q.eyJub3Q",
    "without a signature": lambda i: i.token().rpartition(".")[0] + ".",
}


def test_a_forged_token_is_refused_and_leads_nowhere(caller, issuer):
    assert verdict(ask(issuer.token())) == FINE
    found = {how: verdict(ask(forge(issuer))) for how, forge in FORGED.items()}
    assert found == dict.fromkeys(FORGED, REFUSED)
    assert "/evil" not in issuer.hits
    assert not AuditEvent.objects.filter(type="call.denied").exists()
    assert sum(row.count for row in RefusalCount.objects.all()) == len(FORGED)


def test_a_key_verifies_by_its_own_algorithm_only(caller, issuer):
    key = rsa.generate_private_key(65537, 2048)
    weak = rsa.generate_private_key(65537, 1024)
    rs = jwt.algorithms.RSAAlgorithm.to_jwk
    edwards = ed25519.Ed25519PrivateKey.generate()
    issuer.published += [
        {**rs(key.public_key(), as_dict=True), "kid": "rs", "alg": "RS256"},
        {**rs(weak.public_key(), as_dict=True), "kid": "weak"},
        {**rs(key.public_key(), as_dict=True), "kid": "for-encryption", "use": "enc"},
        {**rs(key, as_dict=True), "kid": "private"},
        {"kty": "oct", "k": encoded(b"x" * 32), "kid": "secret", "alg": "HS256"},
        {**jwt.algorithms.OKPAlgorithm.to_jwk(edwards.public_key(), as_dict=True), "kid": "ed"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        "no key at all",
    ]
    table = {
        ("rs", "RS256"): FINE,
        ("rs", "PS256"): REFUSED,
        ("for-encryption", "RS256"): REFUSED,
        ("private", "RS256"): REFUSED,
        ("broken", "RS256"): REFUSED,
        ("k1", "RS256"): REFUSED,
    }
    found = {place: verdict(ask(issuer.token(place[0], key, place[1]))) for place in table}
    assert found == table
    assert verdict(ask(issuer.token("ed", edwards, "EdDSA"))) == FINE
    assert verdict(ask(issuer.token("k1", edwards, "EdDSA"))) == REFUSED
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = issuer.token("weak", weak, "RS256")
    assert verdict(ask(token)) == REFUSED
    assert verdict(ask(issuer.token("secret", b"x" * 32, "HS256"))) == REFUSED


def test_a_token_counts_as_a_bearer_word_only(caller, issuer):
    token = issuer.token()
    assert verdict(ask(None, X_API_Key=token)) == REFUSED
    assert verdict(ask(token, X_API_Key=token)) == REFUSED
    assert verdict(ask(token, X_API_Key=caller.secret)) == REFUSED
    assert verdict(ask(token, X_API_Key="")) == FINE


def test_every_refused_token_is_answered_alike(caller, issuer):
    def same(answer):
        headers = {k: v for k, v in answer.headers.items() if k not in ("X-Trace-Id", "traceparent")}
        return answer.status_code, {**answer.json(), "trace_id": ""}, headers

    tokens = [
        "nonsense",
        caller.secret[:-1] + "!",
        issuer.token(exp=days(-1)),
        issuer.token(aud="x"),
        with_its_own_key(issuer),
    ]
    answers = [same(ask(token)) for token in tokens]
    assert answers == [answers[0]] * len(answers)


def test_tokens_are_nothing_where_no_issuer_is_set(settings, caller, issuer):
    token = issuer.token()
    assert verdict(ask(token)) == FINE
    for name in ("OAUTH_ISSUER", "OAUTH_AUDIENCE"):
        kept = getattr(settings, name)
        setattr(settings, name, "")
        answer = ask(token)
        assert verdict(answer) == REFUSED
        assert answer["WWW-Authenticate"] == 'Bearer realm="mcp-observatory"'
        assert ask(None, "/mcp")["WWW-Authenticate"] == 'Bearer realm="mcp-observatory"'
        setattr(settings, name, kept)
    assert verdict(ask(token)) == FINE
