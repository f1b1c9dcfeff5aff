"""A token as whom it is about, or why it is none of ours. What was verified is remembered while it may be believed."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.exceptions import (
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)
from jwt.types import Options

from tools.access_tokens.issuer import keys_of
from tools.access_tokens.key_set import ALGORITHMS, LONGEST_KEY_ID, KeySet, VerifyingKey
from tools.access_tokens.trusted import Trusted
from tools.scopes import Scope

LONGEST_TOKEN = 8192
LEEWAY = dt.timedelta(seconds=30)
LONGEST_NAME = 255
MOST_REMEMBERED = 1024
# RFC 9068 wants at+jwt; common issuers write JWT. Other kinds of JWT (logout tokens and such) are no access tokens.
TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
_FORM = re.compile(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_WORDS = frozenset(Scope.values)
# Times are compared by the caller's clock, which is the call's own.
_OPTIONS: Options = {
    "require": ["iss", "aud", "exp", "iat", "sub"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}
_REFUSED_FOR: tuple[tuple[type[PyJWTError], str], ...] = (
    (InvalidSignatureError, "signature"),
    (InvalidAudienceError, "audience"),
    (InvalidIssuerError, "issuer"),
    (MissingRequiredClaimError, "claim_missing"),
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a genuine token is about. `subject` is empty where the token is its client's own. Scopes: ours only."""

    issuer: str
    subject: str
    client: str
    scopes: frozenset[str]
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Invalid:
    """Why a token proves nothing, in a word for operators; callers are told none. `is_signed`: the issuer made it."""

    why: str
    is_signed: bool = False


def has_token_form(credential: str) -> bool:
    return _FORM.fullmatch(credential) is not None


def verify(token: str, issuer: Trusted, now: dt.datetime) -> Identity | Invalid:
    """Raises IssuerUnavailableError where it can't be known."""
    header = _header_of(token)
    if isinstance(header, Invalid):
        return header
    keys, digest = keys_of(issuer).current(), hashlib.sha256(token.encode()).hexdigest()
    known = _remembered.get(digest, issuer, keys)
    if known is not None and now < known.expires_at:
        return known
    place = header["kid"], header["alg"]
    key = keys.keys.get(place)
    if key is None:
        keys = keys_of(issuer).since(keys)
        key = keys.keys.get(place)
    if key is None:
        return Invalid("key_unknown")
    found = _claims_of(token, header["alg"], key, issuer)
    if isinstance(found, Invalid):
        return found
    identity = _identity_of(found, issuer.issuer, now)
    if isinstance(identity, Identity):
        _remembered.put(digest, issuer, keys, identity)
    return identity


def _header_of(token: str) -> Mapping[str, Any] | Invalid:
    """How and by which of the issuer's keys it says it is signed. Keys that it brings along are not looked at."""
    if len(token) > LONGEST_TOKEN:
        return Invalid("too_long")
    try:
        header = jwt.get_unverified_header(token)
    except (PyJWTError, ValueError, RecursionError):
        return Invalid("malformed")
    kind, key_id = header.get("typ"), header.get("kid")
    if header.get("alg") not in ALGORITHMS:
        return Invalid("algorithm")
    if "crit" in header or "b64" in header:
        return Invalid("critical_header")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        return Invalid("type")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= LONGEST_KEY_ID:
        return Invalid("key_id")
    return header


def _claims_of(token: str, algorithm: str, key: VerifyingKey, issuer: Trusted) -> Mapping[str, Any] | Invalid:
    try:
        return jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            issuer=issuer.issuer,
            audience=issuer.audience,
            options=_OPTIONS,
        )
    except (PyJWTError, ValueError, TypeError, RecursionError) as error:
        why = next((word for kind, word in _REFUSED_FOR if isinstance(error, kind)), "malformed")
        return Invalid(why, is_signed=why not in ("signature", "malformed"))


def _identity_of(claims: Mapping[str, Any], issuer: str, now: dt.datetime) -> Identity | Invalid:
    times = {name: _moment(claims[name]) for name in ("exp", "iat", "nbf") if name in claims}
    if None in times.values():
        return Invalid("malformed", is_signed=True)
    expires_at, since = times["exp"], [at for name, at in times.items() if name != "exp" and at]
    assert expires_at is not None
    if now >= expires_at + LEEWAY:
        return Invalid("expired", is_signed=True)
    if any(at > now + LEEWAY for at in since):
        return Invalid("not_yet", is_signed=True)
    clients = {claims[name] for name in ("client_id", "azp") if isinstance(claims.get(name), str)}
    subject, client = claims["sub"], next(iter(clients), "")
    if len(clients) > 1 or not _is_name(subject) or not (client == "" or _is_name(client)):
        return Invalid("names", is_signed=True)
    # Else a client that could choose its id could choose a person's (RFC 9700, section 4.15).
    return Identity(issuer, "" if subject == client else subject, client, _scopes_of(claims), expires_at)


def _moment(value: Any) -> dt.datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return dt.datetime.fromtimestamp(value, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


def _scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """Those of our words that the token grants: `scope` (RFC 8693) or `scp`, each a string of words or a list."""
    granted: set[str] = set()
    for name in ("scope", "scp"):
        value = claims.get(name, ())
        words = value.split(" ") if isinstance(value, str) else value if isinstance(value, list) else ()
        granted.update(word for word in words if isinstance(word, str))
    return frozenset(granted & _WORDS)


class _Remembered:
    """Identities by the SHA-256 of their token, the latest used last. Bound to the key set that verified them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[str, tuple[Trusted, KeySet, Identity]] = OrderedDict()

    def get(self, digest: str, issuer: Trusted, keys: KeySet) -> Identity | None:
        with self._lock:
            held = self._found.get(digest)
            if held is None or held[0] != issuer or held[1] is not keys:
                return None
            self._found.move_to_end(digest)
            return held[2]

    def put(self, digest: str, issuer: Trusted, keys: KeySet, identity: Identity) -> None:
        with self._lock:
            self._found[digest] = (issuer, keys, identity)
            self._found.move_to_end(digest)
            while len(self._found) > MOST_REMEMBERED:
                self._found.popitem(last=False)


_remembered = _Remembered()
