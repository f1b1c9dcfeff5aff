"""One real PostgreSQL and one real Valkey for each test run. A pytest plugin, and a way to run any other program so.

`-p tests.embedded_servers` loads it before Django reads its settings. The servers belong to pytest-xdist's controller;
its workers inherit their addresses, get a database each from pytest-django, and a Redis number each here.
`python -m tests.embedded_servers manage.py check` runs a Python program with the same environment.
DATABASE_URL and REDIS_URL, where given, are used instead.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pytest

from observatory.embedded.postgres import Postgres
from observatory.embedded.valkey import Valkey

S = TypeVar("S", Postgres, Valkey)
_servers: list[Postgres | Valkey] = []
_notes: list[str] = []


def set_environment() -> None:
    """Every variable that the settings need has a value; what was given from outside stays."""
    defaults = {
        "OBSERVATORY_ENVIRONMENT": "test",
        "OBSERVATORY_DEMO": "1",  # the demonstration's tools are under test
        "OBSERVATORY_HTTPS": "off",  # the live server speaks plain HTTP
        "OBSERVATORY_EGRESS_ALLOW": "",
        "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "OBSERVATORY_MASTER_SECRET": secrets.token_urlsafe(48),
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def start_servers() -> None:
    """DATABASE_URL and REDIS_URL name running servers."""
    _start("DATABASE_URL", Postgres, lambda server: f"PostgreSQL {server.major} from {server.programs}")
    _start("REDIS_URL", Valkey, lambda server: str(server.program))


def stop_servers() -> None:
    while _servers:
        _servers.pop().stop()


def _start(variable: str, start: Callable[[], S], describe: Callable[[S], str]) -> None:
    if os.environ.get(variable):
        _notes.append(f"{variable} given from outside")
        return
    began = time.perf_counter()
    server = start()
    _servers.append(server)
    os.environ[variable] = server.url()
    _notes.append(f"{describe(server)} in {time.perf_counter() - began:.2f} s")


def _use_own_redis_number(worker: str) -> None:
    """This worker's REDIS_URL ends in a number that no other worker has; 0 stays the controller's."""
    base, _, _ = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{base}/{int(worker.removeprefix('gw')) + 1}"


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """A wrapper comes before every other plugin's own hook, pytest-django's among them."""
    set_environment()
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        _use_own_redis_number(worker)
    else:
        start_servers()
    try:
        yield
    except BaseException:  # the settings or a conftest cannot be read: pytest ends without its own last hook
        stop_servers()
        raise


def pytest_report_header() -> list[str]:
    return [f"embedded: {note}" for note in _notes]


def pytest_unconfigure() -> None:
    stop_servers()


def main(arguments: Sequence[str]) -> int:
    set_environment()
    try:
        start_servers()
        return subprocess.run([sys.executable, *arguments], check=False).returncode
    finally:
        stop_servers()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
