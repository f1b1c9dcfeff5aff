"""Names that agents and reporters chose, as they may leave in a label: no secret, no hidden character, not long."""

from functools import lru_cache

from telemetry.redaction import redact_text
from telemetry.visible import visible

LONGEST = 120


@lru_cache(maxsize=10_000)
def label(text: str) -> str:
    return visible(redact_text(text, LONGEST))
