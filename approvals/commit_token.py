"""Commit tokens: `mo1.<kid>.<claims>.<mac>`, the proof that one proposal may run once. Made and checked; no state.

The MAC is HMAC-SHA256 over `mo1.<kid>.<claims>`, so version and key id are signed too. Claims are canonical JSON
(RFC 8785) in base64url without padding (RFC 4648, section 5). Whatever is wrong with a token, it is one answer: None.
"""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from django.conf import settings

from approvals.signing_keys import verifying_secrets
from telemetry.canonical import NotCanonical, canonical_bytes, parse

VERSION = "mo1"
LONGEST = 4096
_KID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. Units: `issued_at` and `expires_at` are whole seconds since 1970, UTC."""

    token_id: str
    proposal_id: str
    tool_name: str
    tool_args_hash: str
    issued_at: int
    expires_at: int
    nonce: str
    composite_score: float
    env: str
    agent_key: str
    policy_revision: int

    def is_over(self, now: dt.datetime) -> bool:
        return now.timestamp() >= self.expires_at


@dataclass(frozen=True, slots=True)
class Genuine:
    """Claims that were signed here, and the id of the key that signed them."""

    claims: Claims
    kid: str


def mint(claims: Claims, kid: str, secret: bytes) -> str:
    """The token: the same claims under the same key always give the same text."""
    signed = f"{VERSION}.{kid}.{_encoded(canonical_bytes(asdict(claims)))}"
    return f"{signed}.{_encoded(_mac(secret, signed))}"


def verify(token: str) -> Genuine | None:
    """What a genuine token of this environment says; None for every other text, whatever is wrong with it."""
    parts = token.split(".") if len(token) <= LONGEST and token.isascii() else []
    if len(parts) != 4 or parts[0] != VERSION or not _KID.fullmatch(parts[1]):
        return None
    mac = _decoded(parts[3])
    signed = token.rpartition(".")[0]
    secrets = verifying_secrets(parts[1])
    # Every secret is tried, and all of the MAC compared: how long it takes tells nothing.
    matches = [hmac.compare_digest(_mac(secret, signed), mac or b"") for secret in secrets]
    if not any(matches):
        return None
    claims = _claims(parts[2])
    return Genuine(claims, parts[1]) if claims and claims.env == settings.ENVIRONMENT else None


def _mac(secret: bytes, signed: str) -> bytes:
    return hmac.new(secret, signed.encode("ascii"), hashlib.sha256).digest()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes | None:
    """The bytes, where the text is the one that encodes them: a second spelling of the same bytes is refused."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if _encoded(data) == text else None


def _claims(text: str) -> Claims | None:
    data = _decoded(text)
    try:
        found: Any = parse(data) if data is not None else None
    except NotCanonical:
        return None
    names = {field.name for field in fields(Claims)}
    return Claims(**found) if isinstance(found, dict) and set(found) == names else None
