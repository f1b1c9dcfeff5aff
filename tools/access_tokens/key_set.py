"""A JWK set as keys that may verify: public, asymmetric, long enough, each for the algorithms of its kind only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

VerifyingKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
MOST_KEYS = 100
LONGEST_KEY_ID = 200
RSA_BITS = range(2048, 8193)
# What a key may be used for follows from what it is, never from what a token says of itself.
_ALGORITHMS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
ALGORITHMS = frozenset(name for names in _ALGORITHMS.values() for name in names)


class NotAKeySet(ValueError):
    """The document is no JWK set."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """By key id and algorithm. Two sets with the same digest are the same set."""

    keys: Mapping[tuple[str, str], VerifyingKey]
    digest: str


def key_set_of(document: Any) -> KeySet:
    """The usable keys; others that an issuer publishes beside them are left out. Raises NotAKeySet."""
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or len(entries) > MOST_KEYS:
        raise NotAKeySet("The key set has no list of keys, or too many.")
    found: dict[tuple[str, str], VerifyingKey] = {}
    for entry in entries:
        for place, key in _usable(entry):
            found.setdefault(place, key)
    text = json.dumps(entries, sort_keys=True)
    return KeySet(found, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def _usable(entry: Any) -> Iterator[tuple[tuple[str, str], VerifyingKey]]:
    if not isinstance(entry, Mapping) or "d" in entry or entry.get("use", "sig") != "sig":
        return
    operations, key_id = entry.get("key_ops", ["verify"]), entry.get("kid")
    if not isinstance(operations, list) or "verify" not in operations:
        return
    if not isinstance(key_id, str) or not 0 < len(key_id) <= LONGEST_KEY_ID:
        return
    kind, curve = entry.get("kty"), entry.get("crv", "")
    allowed = _ALGORITHMS.get((kind, curve), ()) if isinstance(kind, str) and isinstance(curve, str) else ()
    algorithms = [name for name in allowed if entry.get("alg", name) == name]
    if not algorithms:
        return
    try:
        key = PyJWK(dict(entry), algorithm=algorithms[0]).key
    except (PyJWTError, ValueError, TypeError):
        return
    if not isinstance(key, VerifyingKey) or (isinstance(key, RSAPublicKey) and key.key_size not in RSA_BITS):
        return
    yield from (((key_id, name), key) for name in algorithms)
