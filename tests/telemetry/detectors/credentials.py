"""Credentials that open nothing: each kind's shape, filled from a seeded random."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable, Iterator

_WORD = string.ascii_letters + string.digits
_URL = _WORD + "-_"
_HEX = "0123456789abcdef"


class _Chance:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def of(self, letters: str, count: int) -> str:
        return "".join(self.random.choices(letters, k=count))

    def word(self, count: int) -> str:
        return self.of(_WORD, count)

    def url(self, count: int) -> str:
        return self.of(_URL, count)

    def hex(self, count: int) -> str:
        return self.of(_HEX, count)

    def base64(self, count: int) -> str:
        return base64.b64encode(self.random.randbytes(count)).decode()


def _jwt(chance: _Chance) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, {"sub": chance.word(8)})]
    parts.append(chance.random.randbytes(32))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def _pem(chance: _Chance) -> str:
    kind = chance.random.choice(["RSA ", "", "EC ", "OPENSSH "])
    lines = "\n".join(chance.base64(48) for _ in range(6))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


def _service_account(chance: _Chance) -> str:
    key = _pem(chance).replace("\n", "\\n")
    return f'{{"type": "service_account", "project_id": "acme", "private_key": "{key}", "client_id": "1"}}'


def _basic(chance: _Chance) -> str:
    return "Basic " + base64.b64encode(f"svc:{chance.word(14)}".encode()).decode()


SHAPES: dict[str, tuple[Callable[[_Chance], str], ...]] = {
    "private-key": (_pem, _service_account),
    "jwt": (_jwt,),
    "aws-key": (lambda c: "AKIA" + c.of(string.ascii_uppercase + "234567", 16),),
    "github-token": (lambda c: "ghp_" + c.word(36), lambda c: f"github_pat_{c.word(22)}_{c.word(59)}"),
    "slack-token": (lambda c: f"xoxb-{c.of(string.digits, 12)}-{c.of(string.digits, 12)}-{c.word(24)}",),
    "webhook-url": (
        lambda c: f"https://hooks.slack.com/services/T{c.word(8).upper()}/B{c.word(8).upper()}/{c.word(24)}",
        lambda c: f"https://discord.com/api/webhooks/{c.of(string.digits, 18)}/{c.url(68)}",
    ),
    "stripe-key": (lambda c: "sk_live_" + c.word(24), lambda c: "rk_live_" + c.word(24)),
    "anthropic-key": (lambda c: f"sk-ant-api03-{c.url(93)}AA",),
    "openai-key": (lambda c: "sk-proj-" + c.url(120),),
    "gitlab-token": (lambda c: "glpat-" + c.url(20), lambda c: "glrt-" + c.url(20)),
    "google-key": (lambda c: "AIza" + c.url(35), lambda c: "GOCSPX-" + c.url(28)),
    "npm-token": (lambda c: "npm_" + c.word(36),),
    "pypi-token": (lambda c: "pypi-AgEIcHlwaS5vcmc" + c.url(150),),
    "huggingface-token": (lambda c: "hf_" + c.of(string.ascii_letters, 34),),
    "sendgrid-key": (lambda c: f"SG.{c.url(22)}.{c.url(43)}",),
    "twilio-key": (lambda c: "SK" + c.hex(32),),
    "digitalocean-token": (lambda c: "dop_v1_" + c.hex(64),),
    "databricks-token": (lambda c: "dapi" + c.hex(32),),
    "vault-token": (lambda c: "hvs." + c.url(90),),
    "shopify-token": (lambda c: "shpat_" + c.hex(32),),
    "telegram-token": (lambda c: f"{c.of('123456789', 10)}:AA{c.url(33)}",),
    "discord-token": (lambda c: f"M{c.word(23)}.{c.word(6)}.{c.url(27)}",),
    "azure-key": (
        lambda c: f"DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={c.base64(64)};",
        lambda c: f"{c.word(3)}8Q~{c.url(34)}",
    ),
    "api-key": (
        lambda c: "sk-" + c.word(48),
        lambda c: f"glsa_{c.word(32)}_{c.hex(8)}",
        lambda c: "gsk_" + c.word(52),
        lambda c: "lin_api_" + c.word(40),
    ),
    "own-key": (lambda c: f"mo_demo_{c.word(8)}_{c.url(43)}",),
    "bearer": (lambda c: f"Authorization: Bearer {c.url(40)}",),
    "basic": (lambda c: f"Authorization: {_basic(c)}",),
    "url-credentials": (
        lambda c: f"postgres://svc:{c.word(14)}@db.internal:5432/app",
        lambda c: f"https://{c.word(30)}@git.internal/a/b.git",
    ),
    "assigned-secret": (
        lambda c: f"client_secret={c.word(32)}",
        lambda c: f'{{"db_password": "{c.word(10)}!{c.word(4)}7"}}',
        lambda c: f"aws_secret_access_key = {c.base64(30)}",
        lambda c: f"DB_PASSWORD: '{c.random.choice(['Sommer2026!', 'hunter2x', 'correct-horse-7', 'Tr0ub4dor&3'])}'",
    ),
}
_AROUND = (
    "{}",
    "please use {} until friday",
    "line one\n{}\nline three",
    "2026-11-29T06:00:00Z INFO worker started with {} in its environment",
)


def credentials(seed: int, each: int = 48) -> Iterator[tuple[str, str]]:
    """(kind, text)."""
    chance = _Chance(seed)
    for kind, shapes in SHAPES.items():
        for number in range(each):
            yield kind, chance.random.choice(_AROUND).format(shapes[number % len(shapes)](chance))
