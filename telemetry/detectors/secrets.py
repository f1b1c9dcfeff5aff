"""Keys, tokens and passwords: what the table of forms knows, less what is only a sample or a word of documentation.

Redaction masks whenever in doubt; here doubt would deny a call, so a form that is loose must also look random.
"""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator

from telemetry.detectors.detector import Category, Finding, LocalDetector
from telemetry.secret_forms import CREDENTIALS, FORMS

_CERTAIN = 1.0
_LIKELY = 0.8
_POSSIBLE = 0.6
_NOT = 0.0

# How sure it is that what stands at this place of the text is a secret.
Judge = Callable[[str, int, int], float]


class Secrets(LocalDetector):
    """Finds what is a credential by its shape, and random values under names that say so."""

    name = "secrets"
    version = "2"
    category = Category.SECRETS

    def _find(self, text: str) -> Iterator[Finding]:
        # A form that stands earlier in the table has named these characters.
        named = bytearray(len(text))
        for form in _LOOKED_FOR:
            judge = _JUDGES.get(form.name, _vendors_own)
            for start, end in form.spans(text):
                if 1 in named[start:end]:
                    continue
                if score := judge(text, start, end):
                    named[start:end] = b"\1" * (end - start)
                    yield Finding(_KINDS.get(form.name, form.name), start, end, score)


_LOOKED_FOR = (*CREDENTIALS, *(form for form in FORMS if form.name == "secret"))
_KINDS = {"secret": "assigned-secret"}

_FILLER = re.compile(
    r"example|sample|placeholder|change[-_]?me|dummy|redacted|masked|your[-_ ]|insert"
    r"|\.\.\.|…|xxxx|\*\*\*|^[<{]|<\w|\{\w*\}|\$[({A-Z]|%\(",
    re.IGNORECASE,
)
# Longer values are judged by their beginning.
_ENOUGH = 256


def _is_random(value: str, shortest: int, bits: float = 3.0) -> bool:
    """Long enough, letters and digits, and as many different ones as nobody types."""
    value = value[:_ENOUGH]
    if len(value) < shortest or _FILLER.search(value):
        return False
    if not any(char.isdigit() for char in value) or not any(char.isalpha() for char in value):
        return False
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts) >= bits


def _vendors_own(text: str, start: int, end: int) -> float:
    """A prefix that stands for nothing else, unless what follows it is one letter again and again."""
    return _CERTAIN if len(set(text[start : min(end, start + _ENOUGH)][-16:])) > 5 else _NOT


_BODY_OF_A_KEY = re.compile(r"[A-Za-z0-9+/=]{32}|-1[A-Z0-9]{32}")


def _private_key(text: str, start: int, end: int) -> float:
    """With a key in it, not the two lines that documentation quotes."""
    return _CERTAIN if _BODY_OF_A_KEY.search(text, start, end) else _NOT


def _jwt(text: str, start: int, end: int) -> float:
    """Signed: three parts. A page's cursor begins like one and is none."""
    return _CERTAIN if text.count(".", start, end) >= 2 and end - start >= 40 else _NOT


def _stripe(text: str, start: int, end: int) -> float:
    """Publishable keys are published."""
    return _NOT if text.startswith("pk", start) else _vendors_own(text, start, end)


def _loose_prefix(text: str, start: int, end: int) -> float:
    return _LIKELY if _is_random(text[start + 3 : end], 16) and not text.startswith("pk", start) else _NOT


_SAMPLES = frozenset({"pass", "password", "passwd", "pwd", "secret", "token", "pw", "changeit"})


def _in_a_url(text: str, start: int, end: int) -> float:
    """A password behind a name, or a name that is random itself. `git@` is neither."""
    user, colon, password = text[start : end - 1].partition(":")
    if not colon:
        return _LIKELY if _is_random(user, 16) else _NOT
    is_sample = (
        len(password) < 3 or password == user or password.lower() in _SAMPLES or _FILLER.search(password[:_ENOUGH])
    )
    return _NOT if is_sample else _LIKELY


def _bearer(text: str, start: int, end: int) -> float:
    """A token, not the word "authentication"."""
    return _LIKELY if _is_random(text[start + 6 : end].lstrip(" \t:="), 12) else _NOT


def _basic(text: str, start: int, end: int) -> float:
    encoded = text[start + 5 : end].strip()
    decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return _LIKELY if decoded.isascii() and decoded.decode("ascii").isprintable() else _NOT


_PARTED = re.compile(r"(?::=|=>|[:=])\s{0,4}")
_PASSWORD = re.compile(r"pass|pwd", re.IGNORECASE)
_CODE = re.compile(r"[()\[\]]|->|::|\w\.[a-z_]{3}|^[/~][\w.-]*(?:/|$)")
# A page's token says where to go on reading.
_CURSOR = re.compile(r"(?:page|next|continuation|cursor|sync|csrf|idempotency|public|primary|foreign)[ _-]?$", re.I)
_UNQUOTED = "\\\"'"


def _assigned(text: str, start: int, end: int) -> float:
    """A random value under a telling name; under a password's name, one that mixes what passwords mix."""
    parted = _PARTED.search(text, start, end)
    if parted is None or _CURSOR.search(text, max(0, start - 16), start):
        return _NOT
    name, given = text[start : parted.start()], text[parted.end() : end]
    value = given.strip(_UNQUOTED).rstrip(">)}]")
    is_quoted = given[:1] in _UNQUOTED
    if not is_quoted and _CODE.search(value[:_ENOUGH]):
        return _NOT
    if " " not in value and _is_random(value, 16, bits=3.2):
        return _LIKELY
    return _POSSIBLE if _PASSWORD.search(name) and _is_a_password(value, is_quoted) else _NOT


def _is_a_password(value: str, is_quoted: bool) -> bool:
    if not 6 <= len(value) <= 128 or " " in value or _FILLER.search(value):
        return False
    kinds = (str.islower, str.isupper, str.isdigit, lambda char: not char.isalnum())
    mixed = sum(any(map(kind, value)) for kind in kinds)
    return mixed >= 2 and (is_quoted or any(map(str.isdigit, value)))


_JUDGES: dict[str, Judge] = {
    "private-key": _private_key,
    "jwt": _jwt,
    "stripe-key": _stripe,
    "api-key": _loose_prefix,
    "url-credentials": _in_a_url,
    "bearer": _bearer,
    "basic": _basic,
    "secret": _assigned,
}
