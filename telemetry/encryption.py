"""Bytes sealed at rest: AES-256-GCM under a derived key, bound to the place they were sealed for.

Format: one byte of version, four of key id, twelve of nonce, then ciphertext and tag. Version and key id are
authenticated together with the context. Source: NIST SP 800-38D.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telemetry.derivation import all_keys, derive_key

_VERSION = b"\x01"
_HEADER_BYTES = 1 + 4
_NONCE_BYTES = 12
_TAG_BYTES = 16


class CannotOpen(Exception):
    """`reason` is one of truncated, unknown_version, unknown_key, not_authentic."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def seal(plaintext: bytes, *, purpose: str, context: str) -> bytes:
    """The sealed bytes, which open only for the same purpose and context (say, the row's id)."""
    derived = derive_key(_purpose(purpose))
    header = _VERSION + bytes.fromhex(derived.kid)
    nonce = os.urandom(_NONCE_BYTES)
    return header + nonce + AESGCM(derived.key).encrypt(nonce, plaintext, header + context.encode())


def open_sealed(data: bytes, *, purpose: str, context: str) -> bytes:
    """The plaintext, whether sealed under the active master secret or a retired one. Raises CannotOpen."""
    data = bytes(data)
    if len(data) < _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES:
        raise CannotOpen("truncated")
    if data[:1] != _VERSION:
        raise CannotOpen("unknown_version")
    header, nonce, ciphertext = (
        data[:_HEADER_BYTES],
        data[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES],
        data[_HEADER_BYTES + _NONCE_BYTES :],
    )
    kid = header[1:].hex()
    for derived in all_keys(_purpose(purpose)):
        if derived.kid == kid:
            try:
                return AESGCM(derived.key).decrypt(nonce, ciphertext, header + context.encode())
            except InvalidTag:
                raise CannotOpen("not_authentic") from None
    raise CannotOpen("unknown_key")


def _purpose(purpose: str) -> str:
    # A key that seals never signs, whatever names the callers choose.
    return f"seal/{purpose}"
