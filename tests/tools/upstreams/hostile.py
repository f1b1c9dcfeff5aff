"""Upstreams that misbehave: an HTTP server of the older era whose answers a test writes, and programs for stdio."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tools.upstreams.target import Target

ANSWER = {"content": [{"type": "text", "text": "ok"}]}
HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {"listChanged": True}},
    "serverInfo": {"name": "hostile", "version": "1"},
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hostile

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method = message["method"]
        self.server.asked.append(method)
        if "id" not in message:
            self.plain(202, b"")
        elif method == "initialize":
            session = {"Mcp-Session-Id": "s"} if self.server.has_session else {}
            self.json({"jsonrpc": "2.0", "id": message["id"], "result": HELLO}, **session)
        elif method == "server/discover":
            self.error(message, -32601)
        else:
            self.server.answer(self, message)

    def do_GET(self) -> None:
        self.server.asked.append("GET")
        self.server.stream(self)

    def do_DELETE(self) -> None:
        self.plain(200, b"")

    def result(self, message: dict[str, Any], result: Any, **headers: str) -> None:
        self.json({"jsonrpc": "2.0", "id": message["id"], "result": result}, **headers)

    def error(self, message: dict[str, Any], code: int, status: int = 200) -> None:
        body = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": code, "message": "no"}}
        self.plain(status, json.dumps(body).encode(), **{"Content-Type": "application/json"})

    def json(self, body: Any, **headers: str) -> None:
        self.plain(200, json.dumps(body).encode(), **{"Content-Type": "application/json"}, **headers)

    def plain(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def events(self) -> None:
        """An event stream begins, which ends with its connection."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def event(self, body: Any, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\n" for line in (*lines, f"data: {json.dumps(body)}", "")).encode())
        self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        pass


class Hostile(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.has_session = False
        self.answer: Callable[[Handler, dict[str, Any]], None] = lambda handler, message: handler.result(
            message, ANSWER
        )
        self.stream: Callable[[Handler], None] = lambda handler: handler.plain(405, b"")
        self.ended = threading.Event()
        self.target = Target(66, "hostile", "http", url=f"http://127.0.0.1:{self.server_address[1]}/mcp", timeout_s=5)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # that the client left is what the tests are about

    def end(self) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()


# A server of the older era in a few lines, so that it starts at once; {answer} answers a call.
PROGRAM = """
import json, os, sys, time
def send(**fields):
    sys.stdout.write(json.dumps(dict(jsonrpc="2.0", **fields)) + "\\n"); sys.stdout.flush()
for line in sys.stdin:
    message = json.loads(line); id = message.get("id"); method = message.get("method")
    if method == "initialize":
        send(id=id, result=HELLO)
    elif method == "tools/call":
        ANSWER
    elif method == "tools/list":
        send(id=id, result=dict(tools=[]))
    elif id is not None and method is not None:
        send(id=id, error=dict(code=-32601, message="no"))
"""


def program(answer: str, *, upstream_id: int = 67, **fields: Any) -> Target:
    """A program that answers a call so."""
    source = PROGRAM.replace("HELLO", repr(HELLO)).replace("ANSWER", answer.replace("\n", "\n        "))
    return Target(upstream_id, "hostile", "stdio", command=(sys.executable, "-S", "-c", source), **fields)


def raw_server(talk: Callable[[socket.socket], None]) -> tuple[socket.socket, Target]:
    """A server that knows no protocol: each connection is given to `talk`."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=_talk, args=(talk, sock), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    port = listening.getsockname()[1]
    return listening, Target(68, "raw", "http", url=f"http://127.0.0.1:{port}/mcp", timeout_s=2)


def _talk(talk: Callable[[socket.socket], None], sock: socket.socket) -> None:
    with sock, contextlib.suppress(OSError):
        talk(sock)
