"""The body of a batch of spans: bounded on the wire and unzipped, and read as a stream where its length is not said."""

import zlib
from typing import Any

from rest_framework.request import Request

from observatory.doors.problem import Refusal
from telemetry.ingest.bounds import MOST_BYTES

_GZIP = 16 + zlib.MAX_WBITS
# Each part of a gzip file costs a header; a real one has one part.
_MOST_PARTS = 16
_TOO_LARGE = f"The body is larger than {MOST_BYTES // 1024 // 1024} MiB."


def span_body(request: Request, unreadable: str) -> bytes:
    """The bytes that were meant. Raises Refusal; `unreadable` is the reason for a body that does not unzip."""
    encoding = (request.META.get("HTTP_CONTENT_ENCODING") or "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Refusal("unsupported_media_type", "Content-Encoding is gzip, or none.")
    data = _sent(request)
    return _unzipped(data, unreadable) if encoding == "gzip" else data


def media_type(request: Request) -> str:
    return (request.META.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()


def _sent(request: Request) -> bytes:
    """At most MOST_BYTES from the wire. Several OpenTelemetry exporters send chunks and no length."""
    stream: Any = request._request
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        if not request.META.get("wsgi.input_terminated"):
            raise Refusal("invalid_parameter", "Send Content-Length; this server does not read chunked bodies.")
        stream = request.META["wsgi.input"]
    else:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()) or int(length[:12]) > MOST_BYTES:
            raise Refusal("too_large", _TOO_LARGE)
    data: bytes = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Refusal("too_large", _TOO_LARGE)
    return data


def _unzipped(data: bytes, unreadable: str) -> bytes:
    """Never more than one byte over the bound is unpacked, whatever the body promises."""
    found = b""
    for _ in range(_MOST_PARTS):
        unzip = zlib.decompressobj(_GZIP)
        try:
            found += unzip.decompress(data, MOST_BYTES + 1 - len(found))
        except zlib.error:
            raise Refusal(unreadable, "The body is not gzip.") from None
        if len(found) > MOST_BYTES:
            raise Refusal("too_large", _TOO_LARGE)
        if not unzip.eof:
            raise Refusal(unreadable, "The body ends before its gzip does.")
        data = unzip.unused_data
        if not data:
            return found
    raise Refusal(unreadable, "The body is gzip in too many parts.")
