"""Forks, children and the end of a process, in real processes."""

import gzip
import json
import os
import subprocess
import sys
import textwrap
from collections import Counter

import pytest
from mcp_observatory import TraceContext, instrument
from mcp_observatory.exporters import HttpExporter
from scripted_server import Scripted, ScriptedServer

PREFACE = """
import faulthandler, multiprocessing, os, sys, threading, time
from mcp_observatory import instrument
from mcp_observatory.exporters import HttpExporter

exporter = HttpExporter(sys.argv[1], "key", interval_s=60, exit_timeout_s=3)
interceptor = instrument("program", exporter)

def call(name):
    with interceptor.span("tool_call", tool_name=name):
        pass
"""


def run(url: str, program: str, **more: int) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [sys.executable, "-c", PREFACE + textwrap.dedent(program), url],
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ.get("PATH", "")},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        # What it and its children said is the cause.
        raise AssertionError(f"the program did not end: {(late.stderr or b'').decode()}") from None


def names(server: ScriptedServer) -> Counter[str]:
    return Counter(span["tool_name"] for hit in server.hits for span in json.loads(gzip.decompress(hit.body))["spans"])


def test_spans_are_sent_at_the_end_of_the_process(server: ScriptedServer) -> None:
    ended = run(server.url, "call('a'); call('b')")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert names(server) == {"a": 1, "b": 1}


@pytest.mark.parametrize("end", ["raise SystemExit(3)", "sys.exit(3)", "1 / 0"])
def test_spans_are_sent_however_the_process_ends(server: ScriptedServer, end: str) -> None:
    ended = run(server.url, f"call('a'); {end}")
    assert ended.returncode in (1, 3)
    assert names(server) == {"a": 1}


def test_end_of_the_process_waits_only_for_a_time(server: ScriptedServer) -> None:
    server.otherwise = Scripted(how="silent")
    ended = run(server.url, "call('a'); exporter._exit_timeout_s = 0.3; began = time.monotonic()")
    server.over.set()
    assert ended.returncode == 0


def test_end_of_the_process_is_quiet_when_the_server_is_down(nobody: str) -> None:
    ended = run(nobody, "exporter._exit_timeout_s = 0.5; call('a')")
    assert ended.returncode == 0
    assert ended.stderr.count("\n") == 1
    assert "NotSent" in ended.stderr or "Connection" in ended.stderr


def test_forked_child_sends_its_own_spans_only(server: ScriptedServer) -> None:
    ended = run(
        server.url,
        """
        call('parent')
        child = os.fork()
        if child == 0:
            call('child')
            sys.exit()
        os.waitpid(child, 0)
        call('parent')
        """,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert names(server) == {"parent": 2, "child": 1}


def test_child_of_multiprocessing_sends_at_its_end(server: ScriptedServer) -> None:
    ended = run(
        server.url,
        """
        call('parent')
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=call, args=('child',)) for _ in range(3)]
        [child.start() for child in children]
        [child.join() for child in children]
        """,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert names(server) == {"parent": 1, "child": 3}


def test_fork_while_other_threads_count_and_export(server: ScriptedServer) -> None:
    ended = run(
        server.url,
        """
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                call('busy')
        # Daemons: a failed assertion ends the program and is told.
        threads = [threading.Thread(target=busy, daemon=True) for _ in range(3)]
        [thread.start() for thread in threads]
        for _ in range(20):
            child = os.fork()
            if child == 0:
                call('child')
                assert interceptor.get_metrics_snapshot()["total_calls"] == 1
                if exporter.flush(30):
                    os._exit(0)
                print("the child's span was not sent", exporter.counts, file=sys.stderr, flush=True)
                faulthandler.dump_traceback()
                os._exit(9)
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert ended == 0, f"the child ended with {ended}"
        stop.set()
        [thread.join() for thread in threads]
        """,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert names(server)["child"] == 20


@pytest.mark.parametrize("first", ["call('a'); exporter.flush()", "client.call('search', query='acme')"])
def test_first_request_imports_nothing(server: ScriptedServer, first: str) -> None:
    """A child that is forked while another thread imports a module waits for ever when it needs the same."""
    ended = run(
        server.url,
        f"""
        from mcp_observatory import ToolClient
        client = ToolClient(sys.argv[1], "key")
        known = set(sys.modules)
        {first}
        print(*sorted(set(sys.modules) - known))
        """,
    )
    assert (ended.returncode, ended.stderr, ended.stdout.strip()) == (0, "", "")


def test_forked_child_of_this_process_shares_no_connection(server: ScriptedServer) -> None:
    exporter = HttpExporter(server.url, "key", interval_s=0.01)
    interceptor = instrument("shop", exporter)
    exporter.export(TraceContext("shop"))
    assert exporter.flush(5)
    child = os.fork()
    if child == 0:
        interceptor.record_model_call("m", "p", response="r")
        os._exit(0 if exporter.flush(5) else 9)
    assert os.waitpid(child, 0)[1] == 0
    exporter.export(TraceContext("shop"))
    assert exporter.flush(5)
    parent, forked, again = (hit.peer for hit in server.hits)
    assert parent == again != forked
    exporter.close()
