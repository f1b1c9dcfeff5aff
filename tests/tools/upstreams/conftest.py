"""Upstreams for tests: real servers, each in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tools.upstreams.pool import Pool
from tools.upstreams.target import Target

SERVER = str(Path(__file__).with_name("server.py"))
SCHEMES = {"http": "http", "json": "http", "sse": "http", "websocket": "ws"}
KINDS = ["http", "json", "stdio", "websocket", "sse"]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Upstream:
    """A server of `kind`. Over stdio it is the pool's to start."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.command = (sys.executable, SERVER, kind, str(self.port), str(folder))
        if kind == "stdio":
            self.target = Target(1, "tested", "stdio", command=self.command)
        else:
            transport = "http" if kind == "json" else kind
            self.target = Target(1, "tested", transport, url=f"{SCHEMES[kind]}://127.0.0.1:{self.port}/mcp")

    def start(self) -> Upstream:
        if self.kind == "stdio":
            return self
        self.process = subprocess.Popen(self.command)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as sock:
                if not sock.connect_ex(("127.0.0.1", self.port)):
                    return self
            time.sleep(0.02)
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        """kill -9."""
        if self.process is None:
            os.kill(self.pid, signal.SIGKILL)
        else:
            self.process.kill()
            self.process.wait()

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    @property
    def called(self) -> list[str]:
        """What reached a tool."""
        file = self.folder / "called"
        return file.read_text().split() if file.exists() else []

    def until_called(self, line: str) -> None:
        until(lambda: line in self.called)

    def with_(self, **fields: object) -> Target:
        return replace(self.target, **fields)  # type: ignore[arg-type]


def until(is_so, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _open_loopback(settings):
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def pool():
    pool = Pool()
    yield pool
    pool.close()


@pytest.fixture
def upstream(request, tmp_path):
    """A running server; parametrize it with a kind."""
    running = Upstream(getattr(request, "param", "http"), tmp_path).start()
    yield running
    running.end()


@pytest.fixture(scope="module")
def _servers(tmp_path_factory):
    """Servers by kind, started by the first test that wants one."""
    running: dict[str, Upstream] = {}
    yield running, tmp_path_factory
    for each in running.values():
        each.end()


@pytest.fixture
def shared(request, _servers):
    """A running server that other tests of the file use too; parametrize it with a kind. Nothing was called yet."""
    running, folders = _servers
    kind = request.param
    if kind not in running:
        running[kind] = Upstream(kind, folders.mktemp(kind)).start()
    (running[kind].folder / "called").unlink(missing_ok=True)
    return running[kind]
