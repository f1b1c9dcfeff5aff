"""A private Valkey (or Redis) server on a loopback port, with a password of its own."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

from observatory.embedded.keeper import Ended, Kept
from observatory.embedded.place import DataFolder, data_folder, identity, run_folder, usable_folder
from observatory.embedded.programs import Unavailable, valkey_server

# TCP, because Celery, Django's cache and redis-py agree on one URL form for it and not for Unix sockets.
ADDRESS = "127.0.0.1"
ATTEMPTS = 5


class Valkey:
    """A running server; it ends with `stop()` or with the process that started it."""

    def __init__(self, data: Path | None = None, databases: int = 64) -> None:
        """The server answers. Without `data` it writes nothing to disk; with it, an append-only file once a second.

        Raises: Unavailable, where it cannot start; the text holds the server's own words.
        """
        self.program = valkey_server()
        self._identity = identity()
        self._password = secrets.token_hex(16)
        folder = data_folder(data, self._identity) if data else None
        try:
            self._kept = self._start(folder, databases)
        finally:
            if folder:
                folder.release()

    def url(self, database: int = 0) -> str:
        """The address of one numbered database."""
        return f"redis://:{self._password}@{ADDRESS}:{self._port}/{database}"

    def stop(self) -> None:
        """The server has shut down cleanly."""
        self._kept.stop()

    def _start(self, folder: DataFolder | None, databases: int) -> Kept:
        said = ""
        for _ in range(ATTEMPTS):  # between our choice of a port and the server's use of it, another may take it
            run = run_folder("kv", self._identity)
            program = usable_folder(self.program.parent, run, self._identity) / self.program.name
            self._port = _free_port()
            kept = Kept(
                [program, self._configuration(run, folder, databases)],
                identity=self._identity,
                log=run / "server.log",
                held=[folder.lock] if folder else [],
                remove=run,
            )
            try:
                kept.wait_until(self._answers)
            except Ended as ended:
                said = str(ended)
                if "in use" not in said:
                    break
            else:
                return kept
        raise Unavailable(f"{self.program} did not start:\n{said}")

    def _configuration(self, run: Path, folder: DataFolder | None, databases: int) -> Path:
        """The server's configuration file. It holds the password, because every account can read a command line."""
        path = run / "server.conf"
        lines = [
            f"bind {ADDRESS}",
            f"port {self._port}",
            f"requirepass {self._password}",
            f"databases {databases}",
            "maxmemory-policy noeviction",  # a lost rate counter or task would be a silent "yes"
            'save ""',
            f'dir "{folder.path if folder else run}"',
            f"appendonly {'yes' if folder else 'no'}",
            "appendfsync everysec",
        ]
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o600)
        if self._identity:
            os.chown(path, self._identity["user"], self._identity["group"])
        return path

    def _answers(self) -> bool:
        """True where this server, the one with our password, answers."""
        try:
            with socket.create_connection((ADDRESS, self._port), 1) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answer:
                    return [answer.readline(), answer.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])
