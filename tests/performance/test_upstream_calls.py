"""What the gateway adds to a call of an upstream, and what MCP adds to REST, as ratios of one run. Printed, and bounded
where a change of kind would show: a handshake or a new client for every call."""

import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from telemetry.recorder import SYSTEM
from tests.performance.test_guarded_call import measure, median
from tests.serving import Server, free_port
from tools.actions.upstream_offers import accept, look_at
from tools.actions.upstreams import save_upstream
from tools.models import Upstream, UpstreamTool
from tools.upstreams.pool import POOL

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.alone]
CONNECTIONS = (1, 8, 32)
SECONDS, ROUNDS = 0.8, 3
MOST_CPU_RATIO = {"gateway, MCP": 1.5, "search over MCP": 1.5}


def called(name, arguments):
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


@contextmanager
def echo():
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.upstreams.echo", str(port)], start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield SimpleNamespace(port=port, group=lambda: process.pid)
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.timeout(300)
def test_what_the_gateway_adds_to_an_upstreams_call(world, tmp_path, capsys, settings):
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    policy = world.policy("agents", {"tools": "echo.*\nsearch_customer", "effect": "allow"})
    caller = world.caller(policy, rate="9000000/m")
    figures: dict[tuple[str, int], dict[str, list[float]]] = {}
    with echo() as upstream:
        row = save_upstream(Upstream(name="echo", url=f"http://127.0.0.1:{upstream.port}/mcp"), SYSTEM)
        assert look_at(row).error == ""
        offered = UpstreamTool.objects.get()
        accept(offered, SYSTEM, seen_digest=offered.digest, settings={"read_only": True})
        POOL.forget(row.pk)
        gateway = Server(tmp_path, OBSERVATORY_ADDRESS_RATE="9000000/m", OBSERVATORY_EGRESS_ALLOW="127.0.0.0/8").start()
        shapes = {
            "upstream, direct": (upstream, "/mcp", called("echo", {"text": "hello"})),
            "gateway, REST": (gateway, "/tools/echo.echo", {"text": "hello"}),
            "gateway, MCP": (gateway, "/mcp", called("echo.echo", {"text": "hello"})),
            "search over REST": (gateway, "/tools/search_customer", {"query": "acme"}),
            "search over MCP": (gateway, "/mcp", called("search_customer", {"query": "acme"})),
        }
        try:
            for server, path, body in shapes.values():
                measure(server, caller.secret, path, body, 8)  # warm
            for _ in range(ROUNDS):
                for connections in CONNECTIONS:
                    for name, (server, path, body) in shapes.items():
                        kept = figures.setdefault((name, connections), {})
                        for what, value in measure(server, caller.secret, path, body, connections).items():
                            kept.setdefault(what, []).append(value)
        finally:
            gateway.stop()
    against = {
        "gateway, REST": "upstream, direct",
        "gateway, MCP": "gateway, REST",
        "search over MCP": "search over REST",
    }
    ratios = {}
    with capsys.disabled():
        for connections in CONNECTIONS:
            for name, base_name in against.items():
                mine, base = (
                    {what: median(values) for what, values in figures[shape, connections].items()}
                    for shape in (name, base_name)
                )
                ratios[name, connections] = {
                    what: mine[what] / base[what] for what in ("per_second", "cpu_ms", "p50_ms")
                }
                said = "  ".join(f"{what} x{value:.2f}" for what, value in ratios[name, connections].items())
                sys.stdout.write(f"\n{connections:>3} connections  {name:<16} to {base_name:<17} {said}")
                sys.stdout.write(f"  (cpu {mine['cpu_ms']:.2f} ms, {mine['per_second']:.0f}/s)")
        sys.stdout.write("\n")
    for (name, _), ratio in ratios.items():
        if name in MOST_CPU_RATIO:
            assert ratio["cpu_ms"] <= MOST_CPU_RATIO[name]
