"""Connections and programs end with the process that opened them, whichever way it ends; a fork begins anew."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.tools.upstreams.conftest import until
from tests.tools.upstreams.hostile import program
from tools.upstreams.lines import MOST_CONNECTIONS
from tools.upstreams.target import Target

pytestmark = pytest.mark.slow

PID = "send(id=id, result=dict(content=[], structuredContent=dict(pid=os.getpid(), cwd=os.getcwd())))"


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def owner(way, target):
    where = json.dumps(target.url or target.command)
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.tools.upstreams.owner", way, target.transport, where],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,  # some ways to end are a signal
    )


def pid_of(pool, target):
    return pool.call(target, "t", {}, timeout_s=10).structured["pid"]


@pytest.mark.parametrize(
    "way", ["end", *(pytest.param(way, marks=pytest.mark.slow) for way in ("term", "kill", "forked holder"))]
)
def test_a_program_ends_with_its_owner_however_that_ends(way):
    done = owner(way, program(PID))
    found = json.loads(done.stdout.splitlines()[0])
    until(lambda: not is_running(found["pid"]), within_s=4)
    assert done.stderr == ""


def test_a_process_made_by_fork_has_programs_of_its_own():
    done = owner("fork", program(PID))
    found = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line)
    assert (found["parent"], found["after"]) == (found["pid"], found["pid"])
    assert found["child"] != found["pid"]
    until(lambda: not is_running(found["pid"]) and not is_running(found["child"]), within_s=4)
    assert done.stderr == ""


@pytest.mark.parametrize("upstream", ["json"], indirect=True)
def test_a_process_made_by_fork_has_connections_of_its_own(upstream):
    done = owner("fork", upstream.target)
    assert [list(json.loads(line)) for line in done.stdout.splitlines()].count(["child"]) == 1
    assert len(done.stdout.splitlines()) == 4
    assert done.stderr == ""


def test_a_program_that_heeds_nothing_is_killed_with_all_it_started(pool):
    stubborn = program(
        "import signal, subprocess; signal.signal(15, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "send(id=id, result=dict(content=[], structuredContent=dict(pid=os.getpid(), child=child.pid)))\n"
        "time.sleep(60)"
    )
    found = pool.call(stubborn, "t", {}, timeout_s=10).structured
    pool.close()
    assert not is_running(found["pid"])
    until(lambda: not is_running(found["child"]))


def test_a_program_has_a_neutral_folder_and_no_environment_of_ours(pool, monkeypatch):
    monkeypatch.setenv("OURS", "x")
    answer = PID.replace("cwd=os.getcwd()", "cwd=os.getcwd(), ours=os.environ.get('OURS'), its=os.environ['ITS']")
    found = pool.call(program(answer, environment=(("ITS", "y"),)), "t", {}, timeout_s=10).structured
    assert (found["cwd"], found["ours"], found["its"]) == ("/", None, "y")


def test_what_a_failing_program_says_is_logged_short_and_without_its_secret(pool, caplog):
    dying = program(
        "sys.stderr.write('x' * 9000 + chr(27) + '[31m s3cret'); os._exit(1)", environment=(("K", "s3cret"),)
    )
    with pytest.raises(Exception, match="ended the connection"):
        pool.call(dying, "t", {}, timeout_s=10)
    until(lambda: "ended by itself" in caplog.text)
    assert "s3cret" not in caplog.text
    assert chr(27) not in caplog.text
    assert len(caplog.text) < 3000


def test_a_target_set_otherwise_replaces_the_old_one_and_other_credentials_stay(pool):
    first = program(PID)
    other_agent = program(PID, environment=(("K", "2"),))
    old, others = pid_of(pool, first), pid_of(pool, other_agent)
    assert pid_of(pool, program(PID)) == old, "equal targets share a connection"
    new = pid_of(pool, program(PID, timeout_s=9.0))
    assert new != old
    until(lambda: not is_running(old))
    assert pid_of(pool, other_agent) == others


def test_a_forgotten_upstream_ends_after_its_last_call(pool):
    slow = program("time.sleep(0.5); " + PID)
    found = []
    thread = threading.Thread(target=lambda: found.append(pid_of(pool, slow)))
    thread.start()
    until(lambda: pool._running and any(line.connection.in_use for line in pool._running[1]._lines.values()))
    pool.forget(slow.upstream_id)
    thread.join()
    until(lambda: not is_running(found[0]))
    assert pid_of(pool, slow) != found[0]


def test_idle_connections_are_closed(pool, monkeypatch):
    monkeypatch.setattr("tools.upstreams.lines.LONGEST_IDLE_S", 0.2)
    monkeypatch.setattr("tools.upstreams.lines._SWEEP_S", 0.1)
    found = pid_of(pool, program(PID))
    until(lambda: not is_running(found))


def test_the_connection_that_was_used_least_lately_makes_room(pool, monkeypatch):
    monkeypatch.setattr("tools.upstreams.lines.MOST_CONNECTIONS", 2)
    targets = [program(PID, environment=(("K", str(number)),)) for number in range(3)]
    first, second = pid_of(pool, targets[0]), pid_of(pool, targets[1])
    assert pid_of(pool, targets[0]) == first
    pid_of(pool, targets[2])
    until(lambda: not is_running(second))
    assert is_running(first)
    assert MOST_CONNECTIONS == 128


def test_a_closed_pool_begins_anew(pool):
    old = pid_of(pool, program(PID))
    pool.close()
    assert not is_running(old)
    assert pid_of(pool, program(PID)) != old


def test_a_program_that_is_none_is_not_reached(pool):
    for command in (("/no/such/program",), (), ("/",)):
        with pytest.raises(Exception, match=r"program|command"):
            pool.call(Target(9, "x", "stdio", command=command), "t", {}, timeout_s=5)
