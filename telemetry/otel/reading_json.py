"""The spans of an ExportTraceServiceRequest in JSON.

Read with `json`, not with protobuf's own reader: OTLP writes ids in hex where protobuf's JSON means base64.
Source: OpenTelemetry Protocol 1.x, "JSON Protobuf Encoding".
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from telemetry.canonical import MAX_DEPTH, is_deeper_than
from telemetry.ingest.bounds import MOST_OTLP_SPANS
from telemetry.otel.names import READ_ATTRIBUTES, READ_RESOURCE
from telemetry.otel.reading import NotReadable, TooManySpans
from telemetry.otel.reported import Received, as_reported, from_nanoseconds

_ERROR = (2, "STATUS_CODE_ERROR")


def spans_of(body: bytes) -> list[dict[str, Any]]:
    """Each span in our own words, unchecked. Raises NotReadable, TooManySpans."""
    if is_deeper_than(body, MAX_DEPTH):
        raise NotReadable(f"The document nests more than {MAX_DEPTH} levels.")
    try:
        request = json.loads(body, parse_constant=_no_constant)
    except ValueError:
        raise NotReadable("The body is not JSON.") from None
    found = []
    for span in _spans(request):
        found.append(span)
        if len(found) > MOST_OTLP_SPANS:
            raise TooManySpans
    return found


def _no_constant(_: str) -> NoReturn:
    raise ValueError("not JSON")


def _spans(request: Any) -> Iterator[dict[str, Any]]:
    for group in _objects(_object(request), "resourceSpans"):
        resource = _attributes(_object(group.get("resource") or {}), READ_RESOURCE)
        for scope in _objects(group, "scopeSpans"):
            for span in _objects(scope, "spans"):
                yield _span(span, resource)


def _span(span: dict[str, Any], resource: dict[str, Any]) -> dict[str, Any]:
    parent = span.get("parentSpanId")
    return as_reported(
        Received(
            resource,
            span.get("name"),
            span.get("traceId"),
            span.get("spanId"),
            parent if not isinstance(parent, str) or parent.strip("0") else None,
            from_nanoseconds(span.get("startTimeUnixNano")),
            from_nanoseconds(span.get("endTimeUnixNano")),
            _attributes(span, READ_ATTRIBUTES),
            _object(span.get("status") or {}).get("code") in _ERROR,
        )
    )


def _attributes(holder: dict[str, Any], wanted: frozenset[str]) -> dict[str, Any]:
    """Those that are wanted and plain; of a value that is not as its kind says, what it is, to be refused."""
    found = {}
    for pair in _objects(holder, "attributes"):
        key, value = pair.get("key"), _object(pair.get("value") or {})
        if isinstance(key, str) and key in wanted:
            for kind, read in _VALUES.items():
                if kind in value:
                    found[key] = read(value[kind])
                    break
    return found


def _int(value: Any) -> Any:
    """64 bits are a text in JSON, and a number from those who forget it."""
    if isinstance(value, str) and value.removeprefix("-").isdigit() and value.isascii() and len(value) <= 20:
        return int(value)
    return value


def _as_it_is(value: Any) -> Any:
    return value


_VALUES: dict[str, Callable[[Any], Any]] = {
    "stringValue": _as_it_is,
    "boolValue": _as_it_is,
    "intValue": _int,
    "doubleValue": _as_it_is,
}


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotReadable("The body is no ExportTraceServiceRequest.")
    return value


def _objects(holder: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The objects of a list that may be missing."""
    value = holder.get(name)
    if value is not None and not isinstance(value, list):
        raise NotReadable("The body is no ExportTraceServiceRequest.")
    return map(_object, value or ())
