"""A real server on loopback for the one way out, and what a refused request answered."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from telemetry.egress import EgressError, request

Answer = Callable[[socket.socket], None]


class Listener:
    """A real server on loopback: counts connections and requests, and answers each request by `answer`."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None, family: int = socket.AF_INET) -> None:
        self.answer, self.context = answer, context
        self.accepted = 0
        self.requests: list[bytes] = []
        self.stopping = False
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.sock.listen()
        self.port: int = self.sock.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            conn, _ = self.sock.accept()
            if self.stopping:
                conn.close()
                return
            self.accepted += 1
            thread = threading.Thread(target=self._serve, args=(conn,))
            self.threads.append(thread)
            thread.start()

    def _serve(self, conn: socket.socket) -> None:
        conn.settimeout(10)
        with contextlib.suppress(OSError):
            if self.context is not None:
                conn = self.context.wrap_socket(conn, server_side=True)
            while head := _read_request(conn):
                self.requests.append(head)
                self.answer(conn)
        with contextlib.suppress(OSError):
            conn.shutdown(socket.SHUT_RDWR)
        conn.close()

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def stop(self) -> None:
        self.stopping = True
        with contextlib.suppress(OSError), socket.create_connection(self.sock.getsockname()[:2]):
            pass
        for thread in list(self.threads):
            thread.join(10)
        self.sock.close()


def _read_request(conn: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (part := conn.recv(65536)):
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line[15:]):
                body += conn.recv(65536)
    return head + b"\r\n\r\n" + body


def sends(*parts: bytes, every_s: float = 0.0, close: bool = False) -> Answer:
    def answer(conn: socket.socket) -> None:
        for part in parts:
            conn.sendall(part)
            time.sleep(every_s)
        if close:
            raise OSError

    return answer


def sends_for_ever(head: bytes, part: bytes, every_s: float = 0.0) -> Answer:
    def answer(conn: socket.socket) -> None:
        conn.sendall(head)
        while True:
            conn.sendall(part)
            time.sleep(every_s)

    return answer


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
FINE = sends(OK)


def error_of(url: str, method: str = "GET", **options: Any) -> EgressError:
    with pytest.raises(EgressError) as refusal:
        request(method, url, **options)
    assert "S3CRET" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    return refusal.value


def resolving(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[str]]) -> list[str]:
    """The system's resolver, with these names added; the names that it was asked for."""
    real, asked = socket.getaddrinfo, []

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        if host not in answers:
            return real(host, port, *args, **kwargs)
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in answers[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked
