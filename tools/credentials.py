"""Agent keys as text: `mo_<environment>_<8 public>_<43 secret><6 checksum>`. Made here, checked here.

What is stored is the SHA-256 of the whole text: the secret has 256 bits, so a slow hash would add nothing.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass

from django.conf import settings

_ALPHABET = string.ascii_lowercase + string.digits
_BASE62 = string.digits + string.ascii_letters
_FORM = re.compile(r"^mo_[a-z0-9-]{1,32}_[a-z0-9]{8}_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}$")


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A secret on its way to the one who asked, and what is kept of it."""

    text: str
    public_id: str
    digest: str

    def __repr__(self) -> str:
        return f"NewCredential({self.public_id})"


def digest_of(credential: str) -> str:
    return hashlib.sha256(credential.encode("utf-8", "surrogateescape")).hexdigest()


def new_public_id() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def new_credential(public_id: str = "") -> NewCredential:
    public_id = public_id or new_public_id()
    body = f"mo_{environment_word()}_{public_id}_{secrets.token_urlsafe(32)}"
    text = body + checksum(body)
    return NewCredential(text, public_id, digest_of(text))


def environment_word() -> str:
    return re.sub(r"[^a-z0-9-]", "-", settings.ENVIRONMENT.lower())[:32] or "env"


def checksum(body: str) -> str:
    """Six base-62 digits of CRC-32: a leaked key is recognised, a mistyped one refused before any look-up."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = _BASE62[rest] + digits
    return digits


def well_formed(credential: str) -> bool:
    """Whether it can be a key of ours at all. The demonstration's fixed key is one only there."""
    if (
        settings.DEMO
        and settings.DEMO_API_KEY
        and hmac.compare_digest(credential.encode("utf-8", "surrogateescape"), settings.DEMO_API_KEY.encode())
    ):
        return True
    return bool(_FORM.match(credential)) and hmac.compare_digest(credential[-6:], checksum(credential[:-6]))
