"""MCP servers in use today as upstreams, each over its own transport: listed, accepted, called by REST and by MCP."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from telemetry.recorder import SYSTEM
from tests.node.installed import PLACE
from tests.serving import free_port
from tools.actions.upstream_offers import accept, look_at
from tools.actions.upstreams import save_upstream
from tools.models import Upstream, UpstreamTool
from tools.upstreams.pool import POOL

EVERYTHING = PLACE / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"
TESTED = Path(__file__).parents[1] / "tools" / "upstreams" / "server.py"
pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture
def known(settings, world):
    """Makes an upstream known as `up`, and a caller that may call all of it."""
    made = []

    def make(**fields):
        settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
        if "program" in fields:
            settings.MCP_COMMANDS = {"it": fields.pop("program")}
            fields |= {"transport": "stdio", "command": "it"}
        upstream = save_upstream(Upstream(name="up", **fields), SYSTEM)
        made.append(upstream.pk)
        assert look_at(upstream).error == ""
        return upstream, world.caller(world.policy("agents", {"tools": "up.*", "effect": "allow"}))

    yield make
    for pk in made:
        POOL.forget(pk)


class Served:
    """A server in a process of its own that listens on a port."""

    def __init__(self, command, **environment):
        self.port = free_port()
        self._command = [part.replace("PORT", str(self.port)) for part in command]
        self._environment = os.environ | {
            name: value.replace("PORT", str(self.port)) for name, value in environment.items()
        }
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@pytest.fixture
def served():
    running = []

    def serve(*command, **environment):
        running.append(Served(command, **environment))
        return running[-1]

    yield serve
    for server in running:
        server.kill()


def accepted(upstream, *names):
    for row in UpstreamTool.objects.filter(upstream=upstream, upstream_name__in=names):
        accept(row, SYSTEM, seen_digest=row.digest, despite_findings=True)


def over_mcp(caller, name, arguments):
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    return caller.post("/mcp", asked, Accept="application/json, text/event-stream").json()["result"]


def speaks_everything(upstream, caller):
    accepted(upstream, "echo", "get-sum", "get-structured-content", "get-tiny-image")
    (said,) = caller.call("up.echo", {"message": "hello"}).json()["content"]
    assert said == {"type": "text", "text": "Echo: hello"}
    weather = caller.call("up.get-structured-content", {"location": "New York"}).json()
    assert set(weather) == {"temperature", "conditions", "humidity"}
    image = next(b for b in over_mcp(caller, "up.get-tiny-image", {})["content"] if b["type"] == "image")
    assert image["mimeType"] == "image/png"
    assert image["data"].startswith("iVBOR")
    wrong = caller.call("up.get-sum", {"a": "one", "b": 2})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "denied_schema")


@pytest.mark.node
def test_server_everything_over_stdio(known, node):
    upstream, caller = known(program=[node, str(EVERYTHING), "stdio"])
    assert upstream.tools.count() > 8
    speaks_everything(upstream, caller)


@pytest.mark.node
def test_server_everything_over_http_killed_and_started_again(known, node, served):
    server = served(node, str(EVERYTHING), "streamableHttp", PORT="PORT")
    upstream, caller = known(url=f"http://127.0.0.1:{server.port}/mcp")
    speaks_everything(upstream, caller)
    server.kill()
    gone = caller.call("up.echo", {"message": "anybody?"}).json()
    assert gone["code"] in ("tool_unreachable", "tool_failed")
    assert look_at(upstream).error
    server.start()
    # What the old process knew of our session is gone with it; the next look finds its way back.
    assert look_at(upstream).error == ""
    assert caller.call("up.echo", {"message": "again"}).json()["content"][0]["text"] == "Echo: again"


def test_mcp_server_time(known):
    upstream, caller = known(program=[sys.executable, "-m", "mcp_server_time", "--local-timezone", "Europe/Stockholm"])
    accepted(upstream, "get_current_time", "convert_time")
    answer = caller.call("up.get_current_time", {"timezone": "Europe/Stockholm"}).json()
    assert answer["timezone"] == "Europe/Stockholm"
    refused = caller.call("up.get_current_time", {"timezone": "Nowhere/Nothing"}).json()
    assert refused["code"] == "tool_reported_error"
    assert "Nowhere" in refused["detail"]


@pytest.mark.parametrize(("transport", "scheme", "path"), [("websocket", "ws", ""), ("sse", "http", "/mcp")])
def test_older_transports(known, served, tmp_path, transport, scheme, path):
    server = served(sys.executable, str(TESTED), transport, "PORT", str(tmp_path))
    upstream, caller = known(transport=transport, url=f"{scheme}://127.0.0.1:{server.port}{path}")
    accepted(upstream, "echo")
    answer = caller.call("up.echo", {"word": "hello"}).json()
    assert answer["structuredContent"]["arguments"] == {"word": "hello"}
