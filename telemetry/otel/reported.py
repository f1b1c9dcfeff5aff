"""An OpenTelemetry span in the words of `POST /telemetry/spans`, so that one set of checks serves both doors."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from telemetry.otel.names import (
    COLUMNS,
    EXECUTE_TOOL,
    KEPT_ATTRIBUTES,
    KIND,
    METHOD,
    MODEL_OPERATIONS,
    OPERATION,
    OTHER_ERROR,
    SERVICE,
    TOOLS_CALL,
    UNNAMED_SERVICE,
)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MOST_NANOSECONDS = 2**64
_MODEL_CALL, _TOOL_CALL, _OTHER = "model_call", "tool_call", "other"
_READ_AS_COLUMNS = frozenset(name for names in COLUMNS.values() for name in names)


@dataclass(slots=True)
class Received:
    """A span as OTLP says it. `resource` and `attributes` hold what names.py reads; times are as `from_nanoseconds`."""

    resource: dict[str, Any]
    name: Any
    trace_id: Any
    span_id: Any
    parent_span_id: Any
    start_time: Any
    end_time: Any
    attributes: dict[str, Any]
    is_failed: bool


def as_reported(span: Received) -> dict[str, Any]:
    """Shape: telemetry/ingest/checking.py, FIELDS. Nothing is checked here."""
    said = span.attributes
    found: dict[str, Any] = {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "kind": _kind(said),
        "name": span.name,
        "service": span.resource.get(SERVICE, UNNAMED_SERVICE),
        "start_time": span.start_time,
        "end_time": span.end_time,
    }
    for column, names in COLUMNS.items():
        found[column] = next((said[name] for name in names if name in said), None)
    if found["kind"] == _TOOL_CALL and found["tool_name"] is None and isinstance(span.name, str):
        found["tool_name"] = span.name.removeprefix(f"{TOOLS_CALL} ").removeprefix(f"{EXECUTE_TOOL} ") or None
    if span.is_failed and not found["error_type"]:
        found["error_type"] = OTHER_ERROR
    found["attributes"] = span.resource | {name: said[name] for name in _beside_the_columns(said)}
    return found


def _beside_the_columns(said: dict[str, Any]) -> set[str]:
    """What is kept though no column holds it; the model that answered, where the column has the one asked for."""
    kept = (said.keys() & KEPT_ATTRIBUTES) - _READ_AS_COLUMNS
    asked, answered = COLUMNS["model"]
    return kept | {answered} if answered in said and asked in said else kept


def _kind(said: dict[str, Any]) -> str:
    own = said.get(KIND)
    if own is not None:
        # What another installation calls an upstream call is here neither a tool's nor a model's a second time.
        return own if own in (_MODEL_CALL, _TOOL_CALL) else _OTHER
    operation = said.get(OPERATION)
    if operation == EXECUTE_TOOL or said.get(METHOD) == TOOLS_CALL:
        return _TOOL_CALL
    return _MODEL_CALL if isinstance(operation, str) and operation in MODEL_OPERATIONS else _OTHER


def from_nanoseconds(value: Any) -> Any:
    """The moment, to the microsecond; None for 0, which means that nothing was said; else as it came, to be refused."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    if not 0 <= value < _MOST_NANOSECONDS:
        return str(value)[:1]
    return _EPOCH + dt.timedelta(microseconds=value // 1000) if value else None
