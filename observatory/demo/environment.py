"""The demonstration's own environment: servers, secrets and switches, before Django reads its settings.

Secrets are made once and kept under var/demo/ with the data that they protect; nothing here is a default elsewhere.
"""

import atexit
import json
import os
import secrets
import shutil
import sys
from pathlib import Path

from observatory.embedded.place import remove_data
from observatory.embedded.postgres import DURABLE, Postgres
from observatory.embedded.valkey import Valkey

BASE_DIR = Path(__file__).resolve().parent.parent.parent
CLOCK = Path(__file__).with_name("clock_server.py")
_servers: list[Postgres | Valkey] = []


def folder() -> Path:
    """Where data and secrets of the demonstration are kept between runs."""
    return Path(os.environ.get("OBSERVATORY_DEMO_FOLDER") or BASE_DIR / "var" / "demo")


def prepare(arguments: list[str]) -> None:
    """Every variable that settings need has a value, and PostgreSQL and Valkey run until this process ends."""
    sys.path.insert(0, str(BASE_DIR / "sdk"))
    if "--help" in arguments or "-h" in arguments:
        _set({"DATABASE_URL": "postgresql://unused/unused", "REDIS_URL": "redis://unused"})
        return
    if "--fresh" in arguments:
        _start_over()
    folder().mkdir(parents=True, exist_ok=True)
    _set(_secrets())
    if not (os.environ.get("DATABASE_URL") or os.environ.get("MCP_OBSERVATORY_PG_DSN")):
        os.environ["DATABASE_URL"] = _started(Postgres(folder() / "postgres", DURABLE)).url()
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = _started(Valkey(folder() / "valkey")).url()


def _started(server: Postgres | Valkey) -> Postgres | Valkey:
    _servers.append(server)
    if len(_servers) == 1:
        atexit.register(stop)
    return server


def stop() -> None:
    """The servers that `prepare` started have ended."""
    while _servers:
        _servers.pop().stop()


def _start_over() -> None:
    for name in ("postgres", "valkey"):
        remove_data(folder() / name)
    shutil.rmtree(folder(), ignore_errors=True)


def _set(more: dict[str, str]) -> None:
    defaults = {
        "OBSERVATORY_ENVIRONMENT": "demo",
        "OBSERVATORY_DEMO": "1",
        "OBSERVATORY_HTTPS": "off",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "OBSERVATORY_MCP_COMMANDS": json.dumps({"clock": [sys.executable, str(CLOCK)]}),
        "OBSERVATORY_AUDIT_TRAIL": str(folder() / "audit.jsonl"),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "OBSERVATORY_MASTER_SECRET": secrets.token_urlsafe(48),
    }
    for name, value in (defaults | more).items():
        os.environ.setdefault(name, value)


def _secrets() -> dict[str, str]:
    path = folder() / "secrets.json"
    if path.exists():
        kept: dict[str, str] = json.loads(path.read_text())
        return kept
    made = {name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "OBSERVATORY_MASTER_SECRET")}
    made["OPERATOR_PASSWORD"] = secrets.token_urlsafe(9)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(made, file)
    return made
