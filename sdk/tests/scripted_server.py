"""A real HTTP server that answers by script."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = 'k-7f"secret\\9'


@dataclass(frozen=True)
class Scripted:
    """One answer. `how` is answer, hang up (answer, then close unannounced), drop (close unanswered),
    cut (half the body), silent (until the test ends), or raw (the body is the whole answer).
    """

    status: int = 200
    body: Any = field(default_factory=lambda: {"sent": True})
    headers: dict[str, str] = field(default_factory=dict)
    how: str = "answer"


@dataclass(frozen=True)
class Hit:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    peer: int


def problem(status: int, code: str = "", **facts: Any) -> Scripted:
    retry = {"Retry-After": str(facts["retry_after_s"])} if "retry_after_s" in facts else {}
    body = {"title": "T", "detail": "D", "status": status, "code": code, "decision": "error", "trace_id": "t1", **facts}
    return Scripted(status, body, {"Content-Type": "application/problem+json", **retry})


DROP = Scripted(how="drop")


class ScriptedServer(ThreadingHTTPServer):
    """Answers in the order of `script`; then `otherwise`. Every request is in `hits`."""

    request_queue_size = 64

    def __init__(self) -> None:
        self.script: list[Scripted] = []
        self.otherwise = Scripted()
        self.hits: list[Hit] = []
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.closed_one = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.closed_one.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer
    disable_nagle_algorithm = True
    wbufsize = -1

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            self.server.hits.append(Hit(self.command, self.path, headers, body, self.client_address[1]))
            scripted = self.server.script.pop(0) if self.server.script else self.server.otherwise
        self._play(scripted)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 (the base class wants these names)

    def _play(self, scripted: Scripted) -> None:
        if scripted.how == "silent":
            self.server.over.wait(10)
        if scripted.how in ("drop", "silent"):
            self.close_connection = True
            return
        data = scripted.body if isinstance(scripted.body, bytes) else json.dumps(scripted.body).encode()
        if scripted.how == "raw":
            self.wfile.write(data)
            self.close_connection = True
            return
        self.send_response(scripted.status)
        for name, value in {"Content-Type": "application/json", **scripted.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if scripted.status == 304:
            return
        self.wfile.write(data[: len(data) // 2] if scripted.how == "cut" else data)
        self.close_connection = self.close_connection or scripted.how in ("cut", "hang up")

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""
