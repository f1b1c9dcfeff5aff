"""The embedded servers are real, keep their promises about the disk, and leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from observatory.embedded import place
from observatory.embedded.keeper import Identity
from observatory.embedded.postgres import DURABLE, FAST, Postgres
from observatory.embedded.programs import Unavailable, postgres_bin, valkey_server
from observatory.embedded.valkey import Valkey

pytestmark = pytest.mark.slow

# Starts both servers with their data in argv[1], says which processes they are, and waits to be killed.
PARENT = """
import json, sys, time
from pathlib import Path
import redis
from observatory.embedded.postgres import DURABLE, Postgres
from observatory.embedded.valkey import Valkey
data = Path(sys.argv[1])
postgres, valkey = Postgres(data / "postgres", DURABLE), Valkey(data / "valkey")
processes = [postgres.pid(), redis.Redis.from_url(valkey.url()).info("server")["process_id"]]
print(json.dumps({"processes": processes, "postgres": postgres.url(), "valkey": valkey.url()}), flush=True)
time.sleep(600)
"""


def eventually(holds: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def setting(server: Postgres, name: str) -> str:
    with psycopg.connect(server.url()) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A folder for servers' data that other accounts can enter, as a checkout is; pytest's own is private."""
    folder = place.run_folder("test", Identity())
    folder.chmod(0o755)
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.fixture
def parent(data: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", PARENT, str(data)], stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def started(parent: subprocess.Popen[str]) -> dict[str, object]:
    assert parent.stdout is not None
    answer = json.loads(parent.stdout.readline())
    assert isinstance(answer, dict)
    return answer


def test_test_run_uses_the_servers_of_the_plugin() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT version()").fetchone()
    assert row is not None
    assert row[0].startswith("PostgreSQL ")
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        assert client.ping() is True


def test_fast_server_skips_the_disk() -> None:
    server = Postgres(options=FAST)
    try:
        assert [setting(server, name) for name in ("fsync", "synchronous_commit")] == ["off", "off"]
        assert setting(server, "server_encoding") == "UTF8"
        assert setting(server, "listen_addresses") == ""
    finally:
        server.stop()
    assert not server.data.exists()


def test_durable_server_writes_through_and_keeps_its_data(data: Path) -> None:
    first = Postgres(data / "postgres", DURABLE)
    try:
        names = ("fsync", "synchronous_commit", "full_page_writes")
        assert [setting(first, name) for name in names] == ["on", "on", "on"]
        with psycopg.connect(first.url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    finally:
        first.stop()
    second = Postgres(data / "postgres", DURABLE)
    try:
        with psycopg.connect(second.url()) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
    finally:
        second.stop()


def test_valkey_refuses_a_caller_without_its_password() -> None:
    server = Valkey()
    try:
        with redis.Redis.from_url(server.url(5)) as client:
            assert client.ping() is True
        port = int(server.url().rpartition(":")[2].partition("/")[0])
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
    finally:
        server.stop()


def test_killed_parent_leaves_no_process(parent: subprocess.Popen[str]) -> None:
    processes = started(parent)["processes"]
    assert isinstance(processes, list)
    assert not any(is_gone(process) for process in processes)
    parent.kill()
    assert eventually(lambda: all(is_gone(process) for process in processes))


def test_killed_process_group_leaves_no_process(data: Path) -> None:
    """`timeout -s KILL` and a container's stop kill the whole group: keepers are not in it."""
    command = [sys.executable, "-c", PARENT, str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        processes = started(parent)["processes"]
        os.killpg(parent.pid, signal.SIGKILL)
    assert isinstance(processes, list)
    assert eventually(lambda: all(is_gone(process) for process in processes))


def test_start_right_after_a_kill_waits_and_finds_the_data(parent: subprocess.Popen[str], data: Path) -> None:
    addresses = started(parent)
    with psycopg.connect(str(addresses["postgres"])) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    parent.kill()
    server = Postgres(data / "postgres", DURABLE)
    try:
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
    finally:
        server.stop()


def test_start_ignores_the_pid_file_of_a_killed_server(data: Path) -> None:
    """As after a restart of a container: the server was killed too, and its process number is in use again."""
    first = Postgres(data / "postgres", DURABLE)
    pid_file = data / "postgres" / "postmaster.pid"
    stale = pid_file.read_text().split("\n")
    first.stop()
    with subprocess.Popen(["sleep", "60"], **place.identity()) as other:
        pid_file.write_text("\n".join([str(other.pid), *stale[1:]]))
        second = Postgres(data / "postgres", DURABLE)
        second.stop()
        other.kill()


def test_data_folder_in_use_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Postgres(data / "postgres", DURABLE)
    monkeypatch.setattr(place, "GRACE_S", 0.1)
    try:
        with pytest.raises(Unavailable, match="Another run uses"):
            Postgres(data / "postgres", DURABLE)
    finally:
        server.stop()


def test_removed_data_is_gone(data: Path) -> None:
    Postgres(data / "postgres", DURABLE).stop()
    place.remove_data(data / "postgres")
    assert not (data / "postgres").exists()


def test_data_of_another_major_version_is_refused(data: Path) -> None:
    Postgres(data / "postgres", DURABLE).stop()
    (data / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(Unavailable, match="made by PostgreSQL 9"):
        Postgres(data / "postgres", DURABLE)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_data_of_another_account_is_refused(data: Path) -> None:
    (data / "postgres").mkdir(mode=0o700)
    os.chown(data / "postgres", 12345, 12345)
    with pytest.raises(Unavailable, match="belongs to uid 12345"):
        Postgres(data / "postgres", DURABLE)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's servers run as that user")
def test_data_moves_where_the_account_cannot_enter(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.chmod(0o700)
    server = Postgres(data / "inside" / "postgres", DURABLE)
    server.stop()
    assert server.data.is_relative_to("/var/tmp")
    assert str(server.data) in capsys.readouterr().err
    place.remove_data(data / "inside" / "postgres")
    assert not server.data.exists()
    subprocess.run(["rm", "-rf", str(server.data.parent)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user reads what that user installed")
def test_programs_that_the_account_cannot_read_are_copied(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = postgres_bin()
    package = folder.parent.parent
    for part in (package, package.with_name(f"{package.name}.libs")):
        subprocess.run(["cp", "-r", str(part), str(data / part.name)], check=True)
    data.chmod(0o700)
    monkeypatch.setenv("PG_BINDIR", str(data / package.name / folder.parent.name / "bin"))
    server = Postgres()
    try:
        assert setting(server, "fsync") == "off"
        assert not server.programs.is_relative_to(data)
    finally:
        server.stop()


def test_wrong_variable_never_falls_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PG_BINDIR", str(tmp_path))
    monkeypatch.setenv("REDIS_SERVER", str(tmp_path / "none"))
    with pytest.raises(Unavailable, match="PG_BINDIR"):
        postgres_bin()
    with pytest.raises(Unavailable, match="REDIS_SERVER"):
        valkey_server()
