"""What else a reporter may say of a span: of a fixed list of names, and never content."""

import math
from typing import Any

from telemetry.ingest.bounds import LONGEST_ATTRIBUTE, MOST_ATTRIBUTES
from telemetry.ingest.faults import SpanFault
from telemetry.ingest.labels import stored
from telemetry.otel.names import KEPT_ATTRIBUTES

_LARGEST_WHOLE = 2**53


def kept_attributes(value: Any, field: str) -> dict[str, Any]:
    """Texts, numbers and booleans under names of the list; everything else is left out without a word."""
    if not isinstance(value, dict):
        raise SpanFault("wrong_type", field, "an object")
    if len(value) > MOST_ATTRIBUTES:
        raise SpanFault("too_long", field, f"at most {MOST_ATTRIBUTES} names")
    return {name: plain for name in value.keys() & KEPT_ATTRIBUTES if (plain := _plain(value[name])) is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return stored(value, LONGEST_ATTRIBUTE)
    if isinstance(value, int):
        # A number of thirteen digits may be a card's; text or number, it is judged by the same forms.
        if abs(value) > _LARGEST_WHOLE:
            return None
        return value if abs(value) < 10**12 or stored(str(value), LONGEST_ATTRIBUTE) == str(value) else None
    return value if isinstance(value, float) and math.isfinite(value) else None
