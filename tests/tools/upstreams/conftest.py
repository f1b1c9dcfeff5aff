"""Upstreams for tests: real servers, in processes that can be killed or in threads that start at once."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import uvicorn

from tests.tools.upstreams import server
from tools.upstreams.pool import Pool
from tools.upstreams.target import Target

SERVER = str(Path(server.__file__))
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
        self._thread: threading.Thread | None = None
        self._uvicorn: uvicorn.Server | None = None
        self._is_over = threading.Event()
        self.command = (sys.executable, SERVER, kind, str(self.port), str(folder))
        if kind == "stdio":
            self.target = Target(1, "tested", "stdio", command=self.command)
        else:
            transport = "http" if kind == "json" else kind
            self.target = Target(1, "tested", transport, url=f"{SCHEMES[kind]}://127.0.0.1:{self.port}/mcp")

    def start(self) -> Upstream:
        """It serves, in a process of its own."""
        if self.kind != "stdio":
            self.process = subprocess.Popen(self.command)
            until(self._listens, 30)
        return self

    def start_thread(self) -> Upstream:
        """The same in a thread of this process: quick, but it can't be killed."""
        if self.kind == "stdio":
            return self
        if self.kind == "websocket":
            run = partial(asyncio.run, server.websocket(self.port, self.folder, self._is_over.is_set))
        else:
            self._uvicorn = server.http(self.kind, self.port, self.folder)
            run = self._uvicorn.run
        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        until(self._listens)
        return self

    def _listens(self) -> bool:
        with socket.socket() as sock:
            return not sock.connect_ex(("127.0.0.1", self.port))

    def kill(self) -> None:
        """kill -9."""
        if self.process is None:
            os.kill(self.pid, signal.SIGKILL)
        else:
            self.process.kill()
            self.process.wait()

    def end(self) -> None:
        if self._thread is not None:
            self._is_over.set()
            if self._uvicorn is not None:
                self._uvicorn.should_exit = True
            self._thread.join(10)
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
        return replace(self.target, **fields)  # type: ignore[arg-type]  # of the names it has


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


@pytest.fixture(scope="module")
def _shared_pool(_servers):
    # After the servers, so that it is closed before them.
    pool = Pool()
    yield pool
    pool.close()


@pytest.fixture
def shared_pool(_shared_pool):
    """A pool whose connections other tests of the file use too."""
    yield _shared_pool
    _shared_pool.on_list_changed = None


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
        running[kind] = Upstream(kind, folders.mktemp(kind)).start_thread()
    (running[kind].folder / "called").unlink(missing_ok=True)
    return running[kind]
