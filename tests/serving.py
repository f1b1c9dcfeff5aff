"""A real server process over the test's database: granian, as in production, to be called over HTTP and killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from django.db import connection


def database_url() -> str:
    """The test's own database, for another process."""
    given = connection.settings_dict
    user = quote(given["USER"]) + (f":{quote(given['PASSWORD'])}" if given["PASSWORD"] else "")
    if str(given["HOST"]).startswith("/"):
        return f"postgresql://{user}@/{given['NAME']}?host={given['HOST']}&port={given['PORT'] or 5432}"
    return f"postgresql://{user}@{given['HOST']}:{given['PORT'] or 5432}/{given['NAME']}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One granian with its workers, in a process group of its own. `threads` are of a WSGI worker."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        workers: int = 1,
        threads: int = 16,
        application: str = "observatory.wsgi:application",
        interface: str = "wsgi",
        **environment: str,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / f"server-{self.port}.log"
        self._command = [
            *(sys.executable, "-m", "granian", "--interface", interface, application),
            *("--host", "127.0.0.1", "--port", str(self.port), "--workers", str(workers)),
            *(("--blocking-threads", str(threads)) if interface == "wsgi" else ()),
            *("--log-level", "warning"),
        ]
        self._environment = os.environ | {"DATABASE_URL": database_url()} | environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        """It serves and is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(self._log.read_text(errors="replace")[-3000:])
            time.sleep(0.05)
        return self

    def group(self) -> int:
        """The process group of the server and its workers."""
        assert self._process
        return self._process.pid

    def kill(self) -> None:
        """kill -9 of everything at once: no handler runs."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None:
            if process.poll() is None:
                os.killpg(process.pid, number)
            process.wait(30)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def serving(folder: Path, **options: object) -> Iterator[Server]:
    server = Server(folder, **options).start()  # type: ignore[arg-type]  # Server names its own options
    try:
        yield server
    finally:
        server.stop()
