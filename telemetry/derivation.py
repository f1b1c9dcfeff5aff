"""Every signing and encryption key comes from one master secret in the environment; none is stored.

Source: RFC 5869 (HKDF). The environment's name is part of each derivation, so a staging key opens nothing elsewhere.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_KEY_BYTES = 32
_KID_BYTES = 4
_SHORTEST_SECRET = 32


@dataclass(frozen=True, slots=True)
class DerivedKey:
    """`kid` names the key in what it signed or sealed and says nothing about it."""

    kid: str
    key: bytes = field(repr=False)


def derive_key(purpose: str, *, secret: str | None = None) -> DerivedKey:
    """The key for this purpose under the given master secret, or under the active one."""
    return _derive(settings.MASTER_SECRET if secret is None else secret, settings.ENVIRONMENT, purpose)


def all_keys(purpose: str) -> tuple[DerivedKey, ...]:
    """The active key first, then those of the retired master secrets, newest first as the setting lists them."""
    return (derive_key(purpose), *(derive_key(purpose, secret=retired) for retired in settings.MASTER_SECRETS_RETIRED))


@functools.lru_cache(maxsize=256)
def _derive(secret: str, environment: str, purpose: str) -> DerivedKey:
    if len(secret) < _SHORTEST_SECRET:
        raise ValueError(f"A master secret needs at least {_SHORTEST_SECRET} characters.")
    if not environment or not purpose or "\0" in environment + purpose:
        raise ValueError("A key is derived for a named environment and a named purpose.")
    info = f"mcp-observatory/1\0{environment}\0{purpose}".encode()
    output = HKDF(algorithm=SHA256(), length=_KEY_BYTES + _KID_BYTES, salt=None, info=info).derive(secret.encode())
    return DerivedKey(kid=output[_KEY_BYTES:].hex(), key=output[:_KEY_BYTES])
