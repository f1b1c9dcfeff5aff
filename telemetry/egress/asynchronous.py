"""The same way out for asyncio: connections to checked addresses only, for libraries that keep them open for long."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2

from telemetry.egress.addresses import refusal
from telemetry.egress.connection import tls_context
from telemetry.egress.errors import EgressError, Kind, causes

__all__ = ["CheckedBackend", "checked_socket", "explained", "tls_context"]

SocketAddress = tuple[Any, ...]
# What this process holds open, and which file each number meant then; for a child made by fork to let go.
_open: dict[int, tuple[int, int]] = {}


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Where httpcore2's connections go: the name is resolved once, every address found is checked, one is called.

    `wrote` is told before bytes of a request leave (a TLS handshake is none).
    """

    def __init__(self, wrote: Callable[[], None]) -> None:
        self._wrote = wrote
        self._anyio = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        seconds = 30.0 if timeout is None else timeout
        deadline = time.monotonic() + seconds
        found = await _checked(host, port, seconds)
        failure: Exception = OSError("The name has no address.")
        for tried, (_, address) in enumerate(found):
            share = max(0.01, (deadline - time.monotonic()) / (len(found) - tried))
            try:
                stream = await self._anyio.connect_tcp(address[0], port, share, local_address, socket_options)
                return _Noted(stream, self._wrote)
            except (OSError, httpcore2.NetworkError, httpcore2.TimeoutException) as error:
                failure = error
        raise failure

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore2.AsyncNetworkStream:
        raise EgressError(Kind.BAD_URL, "Only names and addresses are called.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Noted(httpcore2.AsyncNetworkStream):
    """A stream that tells before it writes, and whose socket a forked child lets go."""

    def __init__(
        self, stream: httpcore2.AsyncNetworkStream, wrote: Callable[[], None], number: int | None = None
    ) -> None:
        self._stream = stream
        self._wrote = wrote
        self._number = _note(stream.get_extra_info("socket")) if number is None else number

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            self._wrote()
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        let_go(self._number)
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        try:
            secured = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            # The stream is closed by who failed.
            let_go(self._number)
            raise
        return _Noted(secured, self._wrote, self._number)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


async def checked_socket(host: str, port: int, timeout_s: float) -> socket.socket:
    """A connected socket to a checked address of the host; the caller closes it, and lets go of it by let_go()."""
    deadline = time.monotonic() + timeout_s
    failure: Exception = OSError("The name has no address.")
    found = await _checked(host, port, timeout_s)
    for tried, (family, address) in enumerate(found):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            share = max(0.01, (deadline - time.monotonic()) / (len(found) - tried))
            async with asyncio.timeout(share):
                await asyncio.get_running_loop().sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            _note(sock)
            return sock
    raise failure


def let_go(number: int) -> None:
    """The file number is somebody else's from now on."""
    _open.pop(number, None)


def hold(number: int) -> None:
    """A child made by fork closes this file of ours at once."""
    status = os.fstat(number)
    _open[number] = (status.st_dev, status.st_ino)


def forget_sockets() -> None:
    """In a child: the parent's connections are closed here and stay open there; no event loop is touched."""
    for number, meant in list(_open.items()):
        with contextlib.suppress(OSError):
            status = os.fstat(number)
            if (status.st_dev, status.st_ino) == meant:
                os.close(number)
    _open.clear()


def explained(error: BaseException, host: str, *, written: bool) -> EgressError:
    """The failure in our own words: those of the libraries quote URLs and headers."""
    for cause in causes(error):
        if isinstance(cause, EgressError):
            return cause
        if isinstance(cause, ssl.SSLCertVerificationError):
            return EgressError(Kind.UNREACHABLE, f"{host}'s certificate is not valid.", written=written)
        if isinstance(cause, TimeoutError | httpcore2.TimeoutException):
            return EgressError(Kind.TIMEOUT, f"{host} did not answer in time.", written=written)
    if written:
        return EgressError(Kind.BAD_RESPONSE, f"{host} broke off, or its answer is not HTTP.", written=True)
    return EgressError(Kind.UNREACHABLE, f"{host} can't be reached.")


async def _checked(host: str, port: int, timeout_s: float) -> list[tuple[int, SocketAddress]]:
    """Each family and socket address of the host, none of them refused."""
    found = await _resolve(host, port, timeout_s)
    for _, address in found:
        why = refusal(address[0])
        if why is not None:
            raise EgressError(Kind.REFUSED_ADDRESS, f"{host} is at {address[0]}: {why}")
    return found


async def _resolve(host: str, port: int, timeout_s: float) -> list[tuple[int, SocketAddress]]:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[tuple[int, SocketAddress]]] = loop.create_future()

    def settle(found: list[tuple[int, SocketAddress]] | None) -> None:
        if answer.done():
            return
        if found is None:
            answer.set_exception(EgressError(Kind.UNREACHABLE, f"{host} can't be resolved."))
        else:
            answer.set_result(found)

    def look_up() -> None:
        found: list[tuple[int, SocketAddress]] | None = None
        with contextlib.suppress(OSError, UnicodeError):
            rows = socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
            found = [(int(family), tuple(address)) for family, _, _, _, address in rows]
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, found)

    # Not the loop's executor: its threads are waited for at exit, and the system's resolver takes no time-out.
    threading.Thread(target=look_up, name="egress-resolver", daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await answer


def _note(sock: Any) -> int:
    number = int(sock.fileno()) if sock is not None else -1
    if number >= 0:
        hold(number)
    return number
