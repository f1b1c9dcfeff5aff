"""Masks on the way out. What is stored was masked as it came; a report goes to people whom nobody here knows.

Words of agents, models and people are masked: texts, arguments, names. Session ids, hashes and figures are not.
"""

from __future__ import annotations

import functools
from typing import Any

from telemetry.detectors.registry import by_name
from telemetry.redaction import MASK, is_sensitive_key, redact_text

# Nothing stored is longer, and within what redaction and detectors read.
_LONGEST = 8_000
# A card has no fewer digits, and a telephone number that stands alone hardly.
_TELLING_NUMBER = 10**8
_IDENTIFIERS = frozenset({"fingerprint"})


@functools.lru_cache(maxsize=4096)
def masked_text(text: str) -> str:
    """The text with every secret of a known form, and all personal data that has one, masked."""
    text = redact_text(text, _LONGEST)
    # A detector tells of the first 50; what it is told again has no more of those.
    while findings := by_name()["pii"].detect(text).findings:
        parts: list[str] = []
        end = 0
        for found in findings:
            if found.start >= end:
                parts += (text[end : found.start], f"[masked {found.kind}]")
                end = found.end
        text = "".join((*parts, text[end:]))
    return text


def masked(value: Any) -> Any:
    """A copy of a JSON value of ours: its texts and keys masked, its figures kept whatever they are called."""
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, dict):
        return {masked_text(name): item if name in _IDENTIFIERS else masked(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    if isinstance(value, int) and abs(value) >= _TELLING_NUMBER and masked_text(str(value)) != str(value):
        return MASK
    return value


def masked_arguments(value: Any) -> Any:
    """As `masked`, of arguments: what stands under a key that names a secret goes, too."""
    if isinstance(value, dict):
        return {masked_text(name): _under(name, item) for name, item in value.items()}
    if isinstance(value, list):
        return [masked_arguments(item) for item in value]
    return masked(value)


def _under(name: str, item: Any) -> Any:
    is_secret = item is not None and not isinstance(item, bool) and is_sensitive_key(name)
    return MASK if is_secret else masked_arguments(item)
