"""One reported span becomes the columns of a row, or the fault for which it is refused."""

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any

from telemetry.ingest.attributes import kept_attributes
from telemetry.ingest.bounds import MOST_COST_USD, MOST_RETRIES, MOST_TOKENS
from telemetry.ingest.faults import SpanFault
from telemetry.ingest.labels import hex_id, label, service_name, short_text, stored, word
from telemetry.ingest.moments import check_span_of_time, moment
from telemetry.ingest.numbers import count, dollars, share, yes_or_no

KINDS = frozenset({"model_call", "tool_call", "other"})
TOKEN_SOURCES = frozenset({"reported", "tiktoken", "estimate"})
REQUIRED = ("trace_id", "span_id", "kind", "service", "start_time", "end_time")
LONGEST_FIELD_NAME = 40

Check = Callable[[Any, str], Any]
_tokens = partial(count, most=MOST_TOKENS)

# Everything that a reporter can say. The names are those of the columns.
FIELDS: dict[str, Check] = {
    "trace_id": partial(hex_id, digits=32),
    "span_id": partial(hex_id, digits=16),
    "parent_span_id": partial(hex_id, digits=16),
    "kind": partial(word, words=KINDS),
    "name": partial(label, limit=120),
    "service": partial(service_name, limit=80),
    "provider": partial(label, limit=40),
    "model": partial(label, limit=120),
    "tool_name": partial(label, limit=64),
    "start_time": moment,
    "end_time": moment,
    "prompt_tokens": _tokens,
    "completion_tokens": _tokens,
    "token_source": partial(word, words=TOKEN_SOURCES),
    "cost_usd": dollars,
    "retries": partial(count, most=MOST_RETRIES),
    "fallback_used": yes_or_no,
    "confidence": share,
    "confidence_gate_blocked": yes_or_no,
    "prompt_diff_score": share,
    "shadow_agreement": yes_or_no,
    "shadow_disagreement_score": share,
    "deterministic_fallback": yes_or_no,
    "high_risk_path": yes_or_no,
    "golden_passed": yes_or_no,
    "error_type": partial(label, limit=80),
    "session_id": partial(short_text, limit=64),
    "attributes": kept_attributes,
}
# What a row holds where nothing is said.
UNSAID: dict[str, Any] = {
    "parent_span_id": "",
    "name": "",
    "provider": "",
    "model": "",
    "tool_name": "",
    "prompt_tokens": None,
    "completion_tokens": None,
    "token_source": "",
    "cost_usd": None,
    "retries": 0,
    "fallback_used": False,
    "confidence": None,
    "confidence_gate_blocked": None,
    "prompt_diff_score": None,
    "shadow_agreement": None,
    "shadow_disagreement_score": None,
    "deterministic_fallback": False,
    "high_risk_path": False,
    "golden_passed": None,
    "error_type": "",
    "session_id": "",
}
assert MOST_COST_USD < 10**6, "cost_usd has six digits before the point"


def checked(span: Any, now: dt.datetime, oldest: dt.timedelta) -> dict[str, Any]:
    """The columns that the reporter says, by name. Null is as if the field were not there. Raises SpanFault."""
    if not isinstance(span, dict):
        raise SpanFault("wrong_type", "span", "an object")
    row = UNSAID | {"attributes": {}}
    for name, value in span.items():
        check = FIELDS.get(name)
        if check is None:
            raise SpanFault("unknown_field", stored(name, LONGEST_FIELD_NAME))
        if value is not None:
            row[name] = check(value, name)
    for name in REQUIRED:
        if name not in row:
            raise SpanFault("missing", name)
    check_span_of_time(row["start_time"], row["end_time"], now, oldest)
    if row["parent_span_id"] == row["span_id"]:
        raise SpanFault("bad_id", "parent_span_id")
    row["provider"] = row["provider"].lower()
    row["decision"] = "error" if row["error_type"] else "ok"
    has_tokens = row["prompt_tokens"] is not None or row["completion_tokens"] is not None
    row["token_source"] = (row["token_source"] or "reported") if has_tokens else ""
    row["cost_source"] = "" if row["cost_usd"] is None else "reported"
    return row
