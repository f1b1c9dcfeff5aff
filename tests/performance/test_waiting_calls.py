"""Slow tools are the normal case: 200 calls that wait must not make the others wait (aim: p50 within twice)."""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from telemetry.recorder import SYSTEM
from tests.performance.test_guarded_call import measure
from tests.serving import Server
from tools.actions.tools import save_http_tool
from tools.models import HttpEndpoint, Tool
from tools.registry import Declaration

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.alone]
WAITING, MOST_RATIO = 200, 2.0


class SlowEndpoint(ThreadingHTTPServer):
    """Answers when it is let go; knows how many wait in it."""

    request_queue_size = 512
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Wait)
        self.waiting, self.release, self.lock = 0, threading.Event(), threading.Lock()


class _Wait(BaseHTTPRequestHandler):
    def do_POST(self):
        with self.server.lock:
            self.server.waiting += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.release.wait(120)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass


@pytest.fixture
def slow_endpoint():
    server = SlowEndpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def slow_tool(server):
    tool = Tool(name="slow", executor="http", network="yes", timeout_s=120)
    endpoint = HttpEndpoint(method="POST", url=f"http://127.0.0.1:{server.server_address[1]}/")
    declaration = Declaration("slow", "Slow", "Waits.", {"type": "object"}, None, {}, {})
    save_http_tool(tool, declaration, endpoint, SYSTEM)


@pytest.mark.timeout(240)
def test_calls_that_wait_do_not_make_the_others_wait(world, tmp_path, slow_endpoint, settings, capsys):
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    slow_tool(slow_endpoint)
    caller = world.caller(world.allowing("slow", "search_customer"), rate="9000000/m")
    rates = {"OBSERVATORY_ADDRESS_RATE": "9000000/m", "OBSERVATORY_EGRESS_ALLOW": "127.0.0.0/8"}
    server = Server(tmp_path, workers=2, threads=128, **rates).start()
    search = ("/tools/search_customer", {"query": "acme"}, 4)
    try:
        measure(server, caller.secret, *search)
        unloaded = [measure(server, caller.secret, *search)["p50_ms"] for _ in range(3)]
        waiting = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.performance.load",
                str(server.port),
                "/tools/slow",
                str(WAITING),
                "0.1",
                caller.secret,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        waiting.stdin.write(b"{}")
        waiting.stdin.close()
        deadline = time.monotonic() + 60
        while slow_endpoint.waiting < WAITING and time.monotonic() < deadline:
            time.sleep(0.05)
        assert slow_endpoint.waiting == WAITING
        loaded = [measure(server, caller.secret, *search)["p50_ms"] for _ in range(3)]
        slow_endpoint.release.set()
        assert json.loads(waiting.stdout.read())["requests"] == WAITING, waiting.stderr.read()
        waiting.wait(60)
        waiting.stdout.close()
        waiting.stderr.close()
    finally:
        server.stop()
    ratio = sorted(loaded)[1] / sorted(unloaded)[1]
    with capsys.disabled():
        sys.stdout.write(f"\np50 of a search while {WAITING} calls wait: x{ratio:.2f} of its unloaded value\n")
    assert ratio <= MOST_RATIO
