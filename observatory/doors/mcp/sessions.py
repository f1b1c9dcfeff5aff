"""A name for one client's conversation in the handshake era, so that it can say which of its calls it takes back.

The name is signed for the key that it was given to, and kept nowhere: any process knows it for genuine, with nothing
looked up. It is never required, proves nothing about the caller, and is no correlation id.
Source: Model Context Protocol 2025-11-25, Session Management.
"""

import base64
import hmac
import secrets
from hashlib import sha256

from telemetry.derivation import all_keys, derive_key

HEADER = "mcp-session-id"
PURPOSE = "mcp.session"
LONGEST = 128


def new_session(public_id: str) -> str:
    """A name that no other conversation has."""
    name = secrets.token_urlsafe(16)
    return f"{name}.{_proof(name, public_id, derive_key(PURPOSE).key)}"


def is_genuine(session: str, public_id: str) -> bool:
    """It was given to this key, under a master secret that still opens."""
    name, _, proof = session.partition(".")
    if len(session) > LONGEST or not session.isascii():
        return False
    return any(hmac.compare_digest(proof, _proof(name, public_id, derived.key)) for derived in all_keys(PURPOSE))


def _proof(name: str, public_id: str, key: bytes) -> str:
    signed = hmac.new(key, f"{name}\0{public_id}".encode(), sha256).digest()
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
