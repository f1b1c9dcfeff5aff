"""A server on loopback that answers what it is told to, and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answering:
    """`answer` is (status, headers, body). It is given once `go_on` is set, as it is at first; at most 5 s later."""

    url: str = ""
    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"{}")
    asked: list[Asked] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.go_on.set()


class _Server(ThreadingHTTPServer):
    told: Answering


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length, told = int(self.headers.get("Content-Length") or 0), self.server.told
        told.asked.append(Asked(self.command, self.path, dict(self.headers), self.rfile.read(length)))
        told.go_on.wait(5)
        status, headers, body = told.answer
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        with suppress(OSError):  # whoever asked has hung up
            super().handle()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def answering() -> Iterator[Answering]:
    """The server, as long as the block lasts."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.told = Answering(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.told
    finally:
        server.told.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
