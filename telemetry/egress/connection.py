"""Connections to checked addresses only, whose every read and write ends at one deadline and within one bound.

urllib3 speaks HTTP and TLS here; this file decides where its sockets go and how long and how much they may read.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, cast

from urllib3.connection import HTTPConnection, HTTPSConnection

from telemetry.egress.addresses import literal, refusal
from telemetry.egress.errors import EgressError, Kind

SocketAddress = tuple[Any, ...]


class TooMuch(OSError):
    """The peer sent more than the exchange may read."""


class Exchange:
    """What one request may still use, and how far it came."""

    __slots__ = ("_abort", "_lock", "deadline", "may_read", "written")

    def __init__(self, deadline: float, may_read: int) -> None:
        self.deadline = deadline
        self.may_read = may_read
        self.written = False
        self._lock = threading.Lock()
        self._abort: Callable[[], None] | None = None

    def begin(self, abort: Callable[[], None]) -> None:
        """From here on `abort` wakes whoever waits for the peer."""
        with self._lock:
            self._abort = abort

    def end(self) -> None:
        """Nothing can be aborted any more: the connection may serve another exchange."""
        with self._lock:
            self._abort = None

    def abort(self) -> None:
        """The exchange is over at its next step, and a read that waits ends now. From any thread."""
        with self._lock:
            if self._abort is not None:
                self.deadline = 0.0
                self._abort()

    def seconds_left(self) -> float:
        """More than 0, or TimeoutError. A socket's time-out starts afresh with each byte; this doesn't."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("The exchange is over its deadline.")
        return left


class _PlainSocket(socket.socket):
    """A socket that asks its exchange before it waits."""

    exchange: Exchange | None = None

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        _arm(self)
        return _count(self, super().recv_into(*args, **kwargs))

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        _arm(self)
        super().sendall(*args, **kwargs)


class _TlsSocket(ssl.SSLSocket):
    """The same over TLS; the handshake runs under the time-out that the plain socket had."""

    exchange: Exchange | None = None

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        _arm(self)
        return _count(self, super().recv_into(*args, **kwargs))

    # SSLSocket.sendall() sends in pieces, by this.
    def send(self, *args: Any, **kwargs: Any) -> int:
        _arm(self)
        return super().send(*args, **kwargs)


def _arm(sock: _PlainSocket | _TlsSocket) -> None:
    if sock.exchange is not None:
        sock.settimeout(sock.exchange.seconds_left())


def _count(sock: _PlainSocket | _TlsSocket, received: int) -> int:
    if sock.exchange is not None:
        sock.exchange.may_read -= received
        if sock.exchange.may_read < 0:
            raise TooMuch("The peer sent more than the exchange may read.")
    return received


class _Checked(HTTPConnection):
    """A connection that resolves once, checks every address found, and connects to one of those."""

    exchange: Exchange | None = None
    idle_since: float = 0.0

    def work_for(self, exchange: Exchange | None) -> None:
        """From here on the connection's time and bound are this exchange's."""
        self.exchange = exchange
        if self.sock is not None:
            cast(_PlainSocket | _TlsSocket, self.sock).exchange = exchange

    def connect(self) -> None:
        super().connect()
        self.work_for(self.exchange)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if self.exchange is not None:
            self.exchange.written = True
        super().send(data)

    def break_off(self) -> None:
        """A read that waits on this connection ends."""
        if self.sock is not None:
            with contextlib.suppress(OSError):
                # Past TLS: its own farewell belongs to the thread that reads.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def is_reusable(self) -> bool:
        """Open, silent, and to an address that may still be called."""
        if self.is_closed or not self.is_connected:
            return False
        try:
            return refusal(self.sock.getpeername()[0]) is None
        except OSError:
            return False

    def _new_conn(self) -> socket.socket:
        if self.exchange is None:
            raise OSError("A connection opens only for an exchange.")
        found = _resolve(self._dns_host, self.port, self.exchange)
        for _, address in found:
            why = refusal(address[0])
            if why is not None:
                raise EgressError(Kind.REFUSED_ADDRESS, f"{self.host} is at {address[0]}: {why}")
        return _connect(found, self.exchange)


class PlainConnection(_Checked):
    pass


class TlsConnection(_Checked, HTTPSConnection):
    pass


@functools.lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """One for the process: the system's certificates, host names verified."""
    context = ssl.create_default_context()
    context.sslsocket_class = _TlsSocket
    return context


def _resolve(host: str, port: int, exchange: Exchange) -> list[tuple[int, SocketAddress]]:
    """Each family and socket address of the host, asked for once, no longer than the exchange has time."""
    if literal(host) is not None:
        return _look_up(host, port)
    answers: queue.SimpleQueue[list[tuple[int, SocketAddress]] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(_look_up(host, port))
        except Exception as error:
            answers.put(error)

    # The system's resolver takes no time-out of its own; a thread that is stuck in it ends when it does.
    threading.Thread(target=look_up, name="egress-resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=exchange.seconds_left())
    except queue.Empty:
        raise TimeoutError("The name was not resolved in time.") from None
    if isinstance(answer, Exception):
        raise EgressError(Kind.UNREACHABLE, f"{host} can't be resolved")
    return answer


def _look_up(host: str, port: int) -> list[tuple[int, SocketAddress]]:
    found = socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _connect(found: list[tuple[int, SocketAddress]], exchange: Exchange) -> socket.socket:
    """A socket to the first address that accepts; each gets its share of the time, so that one dead can't take all."""
    failure: OSError = OSError("The name has no address.")
    for tried, (family, address) in enumerate(found):
        sock = None
        try:
            sock = _PlainSocket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(exchange.seconds_left() / (len(found) - tried))
            sock.connect(address)
            # For the TLS handshake, which comes next.
            sock.settimeout(exchange.seconds_left())
            return sock
        except OSError as error:
            failure = error
            if sock is not None:
                sock.close()
        except BaseException:
            if sock is not None:
                sock.close()
            raise
    raise failure
