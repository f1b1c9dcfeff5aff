"""Masks for what is stored or logged: secrets and personal data go, and the reader is told where.

Keys are judged by their words (`x-api-key`, `dbPassword`, but not `monkey` or `tokens_in`), strings by the
table of forms (telemetry/secret_forms.py).
"""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import re
import unicodedata
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mcp_observatory.guards.secret_forms import CREDENTIALS, FORMS, Form

MASK = "[masked]"
DEFAULT_LIMIT = 200
_MAX_DEPTH = 32
_MAX_ITEMS = 2_000
_MAX_PATHS = 200
# Only so much of a text is looked at, since only its beginning is kept. What stands at the end of that window may be
# the first part of a secret, too short to be known for one, and goes with the rest.
_WINDOW = 16_384
_WINDOW_MARGIN = 1_024


@dataclass(frozen=True, slots=True)
class Redacted:
    """`masked_paths` are JSON Pointers (RFC 6901) into `value`, in order, the first 200."""

    value: Any
    masked_paths: tuple[str, ...]


def redact(value: Any, *, limit: int = DEFAULT_LIMIT) -> Redacted:
    """A copy that may be stored: masked, each string cut to `limit` characters, bounded in depth and size."""
    copying = _Copying(limit)
    return Redacted(copying.copy(value, "", 0), tuple(copying.masked))


def redact_text(text: str, limit: int = DEFAULT_LIMIT) -> str:
    """The text with every known form masked, then cut."""
    return _cut(_mask(text)[0], limit, len(text) > _WINDOW)


def mask_credentials(text: str) -> str:
    """The whole text with everything masked that is a credential by its shape; for texts that are passed on."""
    for form in CREDENTIALS:
        text = _mask_form(form, text)
    return text


def is_sensitive_key(key: str) -> bool:
    """True when what stands under this key is to be masked whatever it looks like."""
    return _is_sensitive(key) if len(key) <= 128 else _is_sensitive.__wrapped__(key)


@dataclass(slots=True)
class _Copying:
    limit: int
    masked: list[str] = field(default_factory=list)
    items_left: int = _MAX_ITEMS

    def copy(self, value: Any, path: str, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, int | float):
            return self._number(value, path)
        if isinstance(value, dict | list | tuple | set | frozenset):
            if depth >= _MAX_DEPTH:
                return "[cut: too deep]"
            return self._object(value, path, depth) if isinstance(value, dict) else self._list(value, path, depth)
        if isinstance(value, bytes | bytearray | memoryview):
            return f"[{len(value)} bytes]"
        if isinstance(value, dt.date | dt.time | dt.timedelta | decimal.Decimal | uuid.UUID):
            return self._text(str(value), path)
        return f"[{type(value).__name__}]"

    def _object(self, value: dict[Any, Any], path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in value.items():
            if not self._has_room():
                found["[cut]"] = f"{len(value) - len(found)} more"
                break
            name = self._name(str(key), found)
            below = f"{path}/{_escaped(name)}"
            if item is None or isinstance(item, bool) or not is_sensitive_key(str(key)):
                found[name] = self.copy(item, below, depth + 1)
            else:
                found[name] = MASK
                self._note(below)
        return found

    def _list(self, value: Iterable[Any], path: str, depth: int) -> list[Any]:
        found: list[Any] = []
        for index, item in enumerate(value):
            if not self._has_room():
                found.append("[cut]")
                break
            found.append(self.copy(item, f"{path}/{index}", depth + 1))
        return found

    def _text(self, text: str, path: str) -> str:
        masked, was_found = _mask(text)
        if was_found:
            self._note(path)
        return _cut(masked, self.limit, len(text) > _WINDOW)

    def _number(self, value: float, path: str) -> Any:
        # A card number is as telling without its quotes; no other form is made of digits alone.
        if abs(value) >= 1e12 and isinstance(value, int):
            if value.bit_length() > 256:
                return "[cut: a number]"
            if _mask(str(value))[1]:
                self._note(path)
                return MASK
        return value

    def _name(self, key: str, taken: dict[str, Any]) -> str:
        """The key as it may be stored: a key can be a secret too, and two may look alike once masked."""
        name = base = redact_text(key, self.limit)
        count = 1
        while name in taken:
            count += 1
            name = f"{base} #{count}"
        return name

    def _has_room(self) -> bool:
        self.items_left -= 1
        return self.items_left >= 0

    def _note(self, path: str) -> None:
        if len(self.masked) < _MAX_PATHS:
            self.masked.append(path)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _cut(text: str, limit: int, was_longer: bool) -> str:
    if len(text) > limit:
        return text[: max(limit - 1, 0)] + "…"
    return text + "…" if was_longer else text


def _mask(text: str) -> tuple[str, bool]:
    """The beginning of the text with each known form masked, and whether there was one."""
    is_long = len(text) > _WINDOW
    masked = text[:_WINDOW] if is_long else text
    before = masked
    for form in FORMS:
        masked = _mask_form(form, masked)
    was_found = masked is not before
    if is_long:
        masked = masked[: max(len(masked) - _WINDOW_MARGIN, 0)]
    return masked, was_found


def _mask_form(form: Form, text: str) -> str:
    parts: list[str] = []
    end = 0
    for start, extent in form.spans(text):
        parts += (text[end:start], f"[masked {form.name}]")
        end = extent
    return "".join((*parts, text[end:])) if parts else text


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SENSITIVE_WORDS = {
    *("auth", "authentication", "authorization", "authkey", "bearer", "credential", "credentials", "creds", "jwt"),
    *("oauth", "accesstokens", "apitokens", "cookie", "cookies", "csrf", "secret", "secrets", "signature", "token"),
    *("xsrf", "cvc", "cvv", "dsn", "otp", "passcode", "passphrase", "passwd", "password", "passwords", "pin", "pwd"),
    *("tan", "totp", "accesskey", "accesskeys", "encryptionkey", "key", "keys", "masterkey", "privatekey", "psk"),
    *("secretkey", "sessionid", "sessionkey", "signingkey"),
}
_SENSITIVE_ENDINGS = ("apikey", "cookie", "credential", "passphrase", "passwd", "password", "secret", "token")
_SENSITIVE_BEGINNINGS = ("password", "passwd", "apikey")
# A plural counts model tokens (tokens_in, max_tokens) unless it stands alone or after one of these.
_TOKEN_OWNERS = frozenset({"access", "api", "auth", "bearer", "commit", "id", "refresh", "session"})
_HARMLESS = frozenset(
    {
        ("foreign", "key"),
        ("primary", "key"),
        ("public", "key"),
        ("sort", "key"),
        ("token", "count"),
        ("token", "limit"),
        ("token", "source"),
        ("token", "usage"),
    }
)


@functools.lru_cache(maxsize=4096)
def _is_sensitive(key: str) -> bool:
    if not key.isascii():
        # Full-width and other look-alike forms of the same letters.
        key = "".join(c for c in unicodedata.normalize("NFKC", key) if unicodedata.category(c) not in ("Cf", "Mn"))
    words = [word.lower() for word in _WORD.findall(key)]
    if tuple(words) in _HARMLESS:
        return False
    if words == ["tokens"]:
        return True
    return any(
        word in _SENSITIVE_WORDS
        or word.endswith(_SENSITIVE_ENDINGS)
        or word.startswith(_SENSITIVE_BEGINNINGS)
        or (word == "tokens" and index > 0 and words[index - 1] in _TOKEN_OWNERS)
        for index, word in enumerate(words)
    )
