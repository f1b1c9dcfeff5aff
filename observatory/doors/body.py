"""Reading a request's JSON body: bounded, parsed once, strictly."""

from typing import Any

from rest_framework.request import Request

from observatory.doors.problem import Refusal
from telemetry.canonical import NotCanonical, parse

MAX_BYTES = 262_144


def json_object(request: Request) -> dict[str, Any]:
    """The body as an object; an empty body is an empty object. Raises Refusal."""
    media_type = (request.META.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    data = _read(request)
    if not data:
        return {}
    if media_type not in ("application/json", ""):
        raise Refusal("unsupported_media_type")
    try:
        value = parse(data, max_bytes=MAX_BYTES)
    except NotCanonical as problem:
        raise Refusal(problem.code, problem.detail) from None
    if not isinstance(value, dict):
        raise Refusal("not_an_object")
    return value


def _read(request: Request) -> bytes:
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        raise Refusal("invalid_parameter", "Send Content-Length; chunked bodies are not read.")
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()) or int(length[:12]) > MAX_BYTES:
        raise Refusal("too_large")
    data: bytes = request._request.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Refusal("too_large")
    return data
