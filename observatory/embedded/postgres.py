"""A private PostgreSQL server on a Unix socket."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from observatory.embedded.keeper import Ended, Kept
from observatory.embedded.place import (
    RUN_PREFIX,
    DataFolder,
    data_folder,
    identity,
    private_folder,
    run_folder,
    usable_folder,
)
from observatory.embedded.programs import Unavailable, postgres_bin

PORT: Final = "5432"  # only part of the socket's name; no port is opened
_ALWAYS: Final = {"max_connections": "200", "jit": "off", "logging_collector": "off", "log_timezone": "UTC"}
# For ordinary tests: quick, and a crash may lose everything.
FAST: Final[Mapping[str, str]] = _ALWAYS | {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "64MB",
}
# For the demo, crash tests and benchmarks: what was committed is on the disk, as in production.
DURABLE: Final[Mapping[str, str]] = _ALWAYS | {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "128MB",
}
FIRST_WITH_BUILTIN_LOCALE = 17


class Postgres:
    """A running server; it ends with `stop()` or with the process that started it."""

    def __init__(self, data: Path | None = None, options: Mapping[str, str] = FAST) -> None:
        """The server accepts connections. Without `data`, its data goes when it stops.

        Raises: Unavailable, where it cannot start; the text holds the server's own words.
        """
        self.programs, self.major = postgres_bin()
        self._identity = identity()
        self._run = run_folder("pg", self._identity)
        folder: DataFolder | None = None
        try:
            self.programs = usable_folder(self.programs, self._run, self._identity)
            folder = data_folder(data, self._identity) if data else None
            self.data = folder.path if folder else private_folder(self._run / "data", self._identity)
            if not (self.data / "PG_VERSION").exists():
                self._make_cluster(folder, sync=options["fsync"] == "on")
            self._check_version()
            self._kept = self._start(folder, options)
        except BaseException:
            shutil.rmtree(self._run, ignore_errors=True)
            raise
        finally:
            if folder:
                folder.release()

    def url(self, database: str = "postgres") -> str:
        """The address of a database, for libpq, psycopg and Django alike."""
        return f"postgresql://postgres@/{database}?host={self._run}&port={PORT}"

    def pid(self) -> int:
        """The server's main process."""
        return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])

    def stop(self) -> None:
        """The server has shut down cleanly."""
        self._kept.stop()

    def _make_cluster(self, folder: DataFolder | None, *, sync: bool) -> None:
        """An empty cluster stands in the data folder. Made beside it and renamed: a half-made one is never used."""
        beside = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(beside, ignore_errors=True)
        private_folder(beside, self._identity)
        locale = ["--locale=C", "--encoding=UTF8"]
        if self.major >= FIRST_WITH_BUILTIN_LOCALE:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # "trust" is enough: the only way in is a socket in a folder that no other account may enter.
        command: list[str | Path] = [self.programs / "initdb", "-D", beside, "-U", "postgres", "-A", "trust", *locale]
        if not sync:
            command.append("--no-sync")
        initdb = Kept(
            command,
            identity=self._identity,
            log=self._run / "initdb.log",
            held=[folder.lock] if folder else [],
        )
        if initdb.wait() != 0:
            raise Unavailable(f"initdb failed:\n{initdb.log_tail()}")
        try:
            beside.rename(self.data)
        except OSError as error:  # the folder holds something else
            raise Unavailable(f"{self.data} is neither empty nor a PostgreSQL data folder; remove it.") from error

    def _check_version(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        if made_by != str(self.major):
            raise Unavailable(f"{self.data} was made by PostgreSQL {made_by} and this is {self.major}: start afresh.")

    def _start(self, folder: DataFolder | None, options: Mapping[str, str]) -> Kept:
        pid_file = self.data / "postmaster.pid"
        if pid_file.exists() and f"\n{RUN_PREFIX}" in pid_file.read_text():
            # A killed server of ours: we hold the data folder's lock, so it no longer runs. PostgreSQL would only see
            # that its process number is in use again, as after a container's restart, and refuse.
            pid_file.unlink()
        command: list[str | Path] = [self.programs / "postgres", "-D", self.data, "-k", self._run, "-h", "", "-p", PORT]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        kept = Kept(
            command,
            identity=self._identity,
            stop_signal=signal.SIGINT,  # PostgreSQL's "fast" shutdown: sessions end, data is complete
            log=self._run / "server.log",
            remove=self._run,
            held=[folder.lock] if folder else [],
        )
        try:
            kept.wait_until(lambda: self._is_ready(pid_file))
        except Ended as ended:
            raise Unavailable(f"PostgreSQL did not start:\n{ended}") from None
        return kept

    def _is_ready(self, pid_file: Path) -> bool:
        """True where this server, the one with our socket folder, accepts connections.

        Source: PostgreSQL's miscadmin.h: line 5 of postmaster.pid is the socket folder, line 8 the state.
        """
        try:
            lines = pid_file.read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[4] == str(self._run) and lines[7].strip() == "ready"
