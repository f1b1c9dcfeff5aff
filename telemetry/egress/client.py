"""One request out, one bounded answer back, or an EgressError that says whether anything may have run."""

from __future__ import annotations

import logging
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from urllib3.exceptions import HTTPError, LocationValueError, ReadTimeoutError
from urllib3.response import HTTPResponse
from urllib3.util import parse_url

from telemetry.egress.addresses import literal, refusal
from telemetry.egress.connection import Exchange, PlainConnection, TlsConnection, TooMuch, tls_context
from telemetry.egress.errors import EgressError, Kind, causes
from telemetry.egress.pool import Connection, Origin, pool

# urllib3 quotes the whole URL, its query too, when it warns of odd headers.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

_LONGEST_URL = 8192
_CHUNK_BYTES = 64 * 1024
# Beside the body a peer sends headers, and for each chunk of one byte as many as five more.
_HEADER_BYTES = 256 * 1024
_BYTES_ON_THE_WIRE_PER_BODY_BYTE = 6
_OURS = frozenset({"accept-encoding", "connection", "content-length", "host", "te", "transfer-encoding", "upgrade"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Response:
    """`headers` finds a name in any case. A status of 4xx or 5xx is an answer, not an error."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Target:
    origin: Origin
    path: str


def request(  # noqa: PLR0913 (all that one request can be told)
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = 10.0,
    max_bytes: int = 262_144,
    abortable: Callable[[Callable[[], None]], None] | None = None,
) -> Response:
    """The peer's answer, in full. Nothing is retried, redirected, decompressed, or sent through a proxy.

    `timeout_s` bounds the whole: name, connection, handshake, request and answer. `abortable` is handed what breaks
    the exchange off, from any thread. Raises EgressError.
    """
    target = _target(url)
    sent = checked_headers(headers)
    exchange = Exchange(time.monotonic() + timeout_s, _HEADER_BYTES + _BYTES_ON_THE_WIRE_PER_BODY_BYTE * max_bytes)
    connection = pool.take(target.origin) or _connection(target.origin)
    is_done = False
    exchange.begin(connection.break_off)
    if abortable is not None:
        abortable(exchange.abort)
    try:
        connection.work_for(exchange)
        connection.request(method, target.path, body=body, headers=sent, preload_content=False, decode_content=False)
        answer = connection.getresponse()
        try:
            response = _read(answer, max_bytes)
        finally:
            answer.close()
        is_done = True
        return response
    except Exception as error:
        raise _explained(error, target.origin[1], exchange.written) from None
    finally:
        exchange.end()
        connection.work_for(None)
        if is_done and not connection.is_closed:
            pool.give(target.origin, connection)
        else:
            connection.close()


def check_url(url: str) -> str | None:
    """Why this URL can't be called, as far as can be told without a look-up; None where it may. For forms."""
    try:
        host = _target(url).origin[1]
        address = literal(host)
        why = refusal(address) if address is not None else None
    except EgressError as error:
        return error.detail
    return f"The address {address} is {why}; OBSERVATORY_EGRESS_ALLOW doesn't open it." if why else None


def _target(url: str) -> _Target:
    if len(url) > _LONGEST_URL or _NOT_IN_A_URL.search(url):
        raise EgressError(Kind.BAD_URL, "The URL is too long or holds spaces, control characters or backslashes.")
    try:
        parsed = parse_url(url)
    except LocationValueError:
        raise EgressError(Kind.BAD_URL, "The URL can't be read.") from None
    if parsed.scheme not in _DEFAULT_PORTS:
        raise EgressError(Kind.BAD_URL, "The URL's scheme must be http or https.")
    if parsed.auth is not None:
        raise EgressError(Kind.BAD_URL, "The URL must not hold a user or a password.")
    if not parsed.host or parsed.port == 0:
        raise EgressError(Kind.BAD_URL, "The URL names no host, or port 0.")
    host = parsed.host[1:-1] if parsed.host.startswith("[") else parsed.host
    return _Target((parsed.scheme, host, parsed.port or _DEFAULT_PORTS[parsed.scheme]), parsed.request_uri)


def checked_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """What is sent beside HTTP's own. Raises EgressError for a header that is not valid or not the caller's to set."""
    sent = {"User-Agent": "mcp-observatory", **(headers or {})}
    if any(name.lower() in _OURS for name in sent):
        raise EgressError(Kind.BAD_URL, f"These headers are not the caller's to set: {', '.join(sorted(_OURS))}.")
    if not all(_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value) for name, value in sent.items()):
        raise EgressError(Kind.BAD_URL, "A header is not valid HTTP.")
    # A compressed answer could be a thousand times what it weighs on the wire.
    return sent | {"Accept-Encoding": "identity"}


def _connection(origin: Origin) -> Connection:
    scheme, host, port = origin
    if scheme == "https":
        return TlsConnection(host, port, timeout=None, ssl_context=tls_context())
    return PlainConnection(host, port, timeout=None)


def _read(answer: HTTPResponse, max_bytes: int) -> Response:
    if 300 <= answer.status < 400:
        raise EgressError(Kind.REDIRECT_REFUSED, f"The answer is a redirect ({answer.status}).", written=True)
    if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise EgressError(Kind.BAD_RESPONSE, "The answer is compressed though it was asked not to be.", written=True)
    if (answer.length_remaining or 0) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    for chunk in answer.stream(_CHUNK_BYTES, decode_content=False):
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return Response(answer.status, answer.headers, bytes(body))


def _too_large(max_bytes: int) -> EgressError:
    return EgressError(Kind.TOO_LARGE, f"The answer is larger than {max_bytes} bytes.", written=True)


def _explained(error: Exception, host: str, written: bool) -> EgressError:
    """The same failure in our own words: those of the libraries quote URLs and headers."""
    found = list(causes(error))
    if isinstance(error, EgressError):
        return error
    if any(isinstance(cause, TooMuch) for cause in found):
        return EgressError(Kind.TOO_LARGE, "The answer is larger than may be read.", written=written)
    if any(isinstance(cause, TimeoutError | ReadTimeoutError) for cause in found):
        return EgressError(Kind.TIMEOUT, f"{host} did not answer in time.", written=written)
    for cause in found:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return EgressError(Kind.UNREACHABLE, f"{host}'s certificate is not valid.", written=written)
    if written:
        return EgressError(Kind.BAD_RESPONSE, f"{host} broke off, or its answer is not HTTP.", written=True)
    if isinstance(error, OSError | HTTPError):
        return EgressError(Kind.UNREACHABLE, f"{host} can't be reached.")
    return EgressError(Kind.BAD_URL, "The method or a header is not valid HTTP.")
