"""One kept connection a thread, and what became of a request: answered, never sent, or lost on the way."""

import contextlib
import encodings.idna  # noqa: F401 (connecting imports it: a child forked meanwhile would wait for ever for its lock)
import http.client
import os
import selectors
import ssl
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mcp_observatory.forking import survives_fork

LARGEST_ANSWER_BYTES = 8 * 1024 * 1024
LONGEST_IDLE_S = 20.0
CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` hold the key, so they stay out of the repr. `timeout_s` bounds each wait for the server."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, wholly read. Header names are looked up in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class NotSent(Exception):
    """No connection could be made: the server has seen nothing of the request."""


class Lost(Exception):
    """The connection failed after sending began: the server may have acted."""


class TooLarge(Exception):
    """The answer is larger than we read: the server has acted."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is. `prefix` is the path before every path of ours, without a slash at its end."""

    secure: bool
    host: str
    port: int | None
    prefix: str

    @classmethod
    def of(cls, url: str) -> "Address":
        """Raises ValueError, which does not repeat the URL, for it may hold a password."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("base_url can't be read as a URL") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url starts with http:// or https:// and names a host")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("base_url has no user, query or fragment")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("base_url is visible ASCII")
        return cls(parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/"))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port is not None else ""
        return f"{'https' if self.secure else 'http'}://{host}{port}{self.prefix}"


class _Kept:
    """A connection that closes with its thread and is not used by a forked child."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        self.pid = os.getpid()
        self.used_at = time.monotonic()

    def __del__(self) -> None:
        self.connection.close()

    def is_usable(self) -> bool:
        """Open, and silent: readable before we asked anything means that the server closed it."""
        if self.pid != os.getpid() or self.connection.sock is None:
            return False
        if time.monotonic() - self.used_at > LONGEST_IDLE_S:
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection.sock, selectors.EVENT_READ)
            return not selector.select(0)


class Connections:
    """Sends requests to one address; safe to share between threads. Follows no redirect, reads no proxy settings.

    A forked child opens its own: the parent's are the parent's, and whichever thread held their lock is not here.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._tls = ssl.create_default_context() if address.secure else None
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._all: weakref.WeakSet[_Kept] = weakref.WeakSet()

    def exchange(self, request: Request) -> Answer:
        """The answer. Raises NotSent, Lost or TooLarge; the connection is closed after each."""
        kept = self._connected(request.timeout_s)
        try:
            answer, reusable = _exchange(kept.connection, self._address.prefix, request)
        except BaseException:
            # A half-read answer must never be taken for the answer to the next request.
            self._drop(kept)
            raise
        if reusable:
            kept.used_at = time.monotonic()
        else:
            self._drop(kept)
        return answer

    def close(self) -> None:
        """Every thread's connection is closed. Later requests open new ones."""
        with self._lock:
            found = list(self._all)
            self._all.clear()
        for kept in found:
            kept.connection.close()

    def _connected(self, timeout_s: float) -> _Kept:
        kept: _Kept | None = getattr(self._thread, "kept", None)
        if kept is not None:
            if kept.is_usable():
                kept.connection.sock.settimeout(timeout_s)
                return kept
            self._drop(kept)
        connection = self._new(timeout_s)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise NotSent(_words(error)) from error
        except BaseException:
            connection.close()
            raise
        kept = _Kept(connection)
        self._thread.kept = kept
        with self._lock:
            self._all.add(kept)
        return kept

    def _new(self, timeout_s: float) -> http.client.HTTPConnection:
        address = self._address
        if self._tls is not None:
            return http.client.HTTPSConnection(address.host, address.port, timeout=timeout_s, context=self._tls)
        return http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)

    def _drop(self, kept: _Kept) -> None:
        kept.connection.close()
        self._thread.kept = None


def _exchange(connection: http.client.HTTPConnection, prefix: str, request: Request) -> tuple[Answer, bool]:
    """The answer, and whether the connection can serve another request."""
    deadline = time.monotonic() + request.timeout_s
    try:
        # The server may have refused the body before its end; then its answer is here to read.
        with contextlib.suppress(BrokenPipeError):
            connection.request(request.method, prefix + request.path, request.body, dict(request.headers))
        with connection.getresponse() as response:
            body = _read(response, deadline)
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, body), response.status >= 200 and not response.will_close
    except (OSError, http.client.HTTPException) as error:
        # Not chained where the words are the server's own, which could repeat the key.
        raise Lost(_words(error)) from (error if isinstance(error, OSError) else None)


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    data = bytearray()
    while chunk := response.read1(CHUNK_BYTES):
        data += chunk
        if len(data) > LARGEST_ANSWER_BYTES:
            raise TooLarge
        if time.monotonic() > deadline:
            raise TimeoutError("the answer did not end in time")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return bytes(data)


def _words(error: Exception) -> str:
    """The kind of failure, and the operating system's sentence where it has one."""
    said = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
