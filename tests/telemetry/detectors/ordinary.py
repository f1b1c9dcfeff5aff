"""Texts that nobody should be stopped for: what installed packages say of themselves, and lines as programs write."""

from __future__ import annotations

import json
import random
import re
import sysconfig
import uuid
from collections.abc import Iterator
from pathlib import Path

from telemetry.redaction import is_sensitive_key

_PARAGRAPHS = re.compile(r"\n\s*\n")
_ENDINGS = {".md", ".rst", ".txt"}
# Their texts are made of telephone and identity numbers.
_ABOUT_PEOPLE = ("phonenumbers", "python_stdnum", "faker", "stdnum")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def prose(seed: int, most: int = 4_000) -> list[str]:
    """Paragraphs of documentation, changelogs and metadata, each once, from 80 to 4,000 characters."""
    found: dict[str, None] = {}
    for path in _files(Path(sysconfig.get_path("purelib"))):
        for paragraph in _PARAGRAPHS.split(path.read_text(encoding="utf-8", errors="replace")[:400_000]):
            if 80 <= len(paragraph) <= 4_000:
                found[paragraph] = None
    chance = random.Random(seed)
    return chance.sample(sorted(found), min(most, len(found)))


def _files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        is_text = path.suffix in _ENDINGS or path.name == "METADATA"
        if is_text and path.is_file() and not any(name in str(path.relative_to(root)) for name in _ABOUT_PEOPLE):
            yield path


def lines(seed: int, most: int = 6_000) -> Iterator[str]:
    """Log lines and JSON with the numbers that programs write: times, ids, digests, amounts, versions, addresses."""
    chance = random.Random(seed)
    found = re.findall(r"[a-z]{3,12}", " ".join(prose(seed, 200)).lower())
    # What stands under `password` is no ordinary value.
    words = [word for word in found if not is_sensitive_key(word)]
    for number in range(most):
        yield _json(chance, words) if number % 2 else _log(chance, words)


def _log(chance: random.Random, words: list[str]) -> str:
    said = " ".join(chance.choices(words, k=chance.randint(3, 9)))
    shown = " ".join(f"{chance.choice(words)}={_value(chance, words)}" for _ in range(chance.randint(1, 5)))
    return f"{_time(chance)} {chance.choice(_LEVELS)} [{chance.choice(words)}] {said} {shown} {_value(chance, words)}"


def _json(chance: random.Random, words: list[str]) -> str:
    row = {
        chance.choice(words): _value(chance, words) if chance.random() < 0.7 else chance.randint(0, 10**18)
        for _ in range(chance.randint(3, 12))
    }
    return json.dumps({"id": chance.randint(1, 10**9), "at": chance.randint(1_500_000_000, 1_900_000_000), **row})


def _time(chance: random.Random) -> str:
    day = f"202{chance.randint(0, 6)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
    hour, minute, second = chance.randint(0, 23), chance.randint(0, 59), chance.randint(0, 59)
    return f"{day} {hour:02}:{minute:02}:{second:02},{chance.randint(0, 999):03}"


def _value(chance: random.Random, words: list[str]) -> str:
    made = (
        lambda: str(uuid.UUID(int=chance.getrandbits(128))),
        lambda: f"{chance.getrandbits(160):040x}",
        lambda: f"sha256:{chance.getrandbits(256):064x}",
        lambda: str(chance.randint(0, 10 ** chance.randint(1, 18))),
        lambda: str(chance.random() * 10 ** chance.randint(0, 6)),
        lambda: f"{chance.randint(1, 1_900_000_000)}{chance.randint(0, 999):03}",
        lambda: ".".join(str(chance.randint(0, 255)) for _ in range(4)) + f":{chance.randint(1, 65535)}",
        lambda: f"{chance.randint(0, 30)}.{chance.randint(0, 99)}.{chance.randint(0, 99)}",
        lambda: f"/{'/'.join(chance.choices(words, k=3))}/{chance.randint(1, 10**6)}?page={chance.randint(1, 99)}",
        lambda: f"https://{chance.choice(words)}.example.com/{chance.choice(words)}#{chance.randint(1, 999)}",
        lambda: (
            f"{chance.choice(words)}-{chance.randint(100, 999)}-{chance.randint(10, 99)}-{chance.randint(1000, 9999)}"
        ),
        lambda: f"{chance.randint(1, 999)},{chance.randint(0, 999):03}.{chance.randint(0, 99):02} EUR",
        lambda: " ".join(str(chance.randint(0, 9999)) for _ in range(chance.randint(2, 6))),
        lambda: _time(chance),
        lambda: f"{chance.choice(words)}_{chance.getrandbits(64):016x}",
        lambda: f"ORD-{chance.randint(2020, 2026)}-{chance.randint(1, 10**6):06}",
    )
    return chance.choice(made)()
