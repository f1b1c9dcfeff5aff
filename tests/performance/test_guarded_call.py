"""What guarding costs: a guarded search against bare views on the same server and database, as ratios of one run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import Server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.alone]
CONNECTIONS = (1, 8, 32)
SECONDS, ROUNDS = 0.8, 3
MOST_CPU_RATIO = 4.0
SHAPES = {
    "bare JSON": ("/bare/json", {"query": "acme"}),
    "bare DRF, one SELECT": ("/bare/one", {"query": "acme"}),
    "bare DRF, search and one row": ("/bare/search", {"query": "acme"}),
    "guarded search_customer": ("/tools/search_customer", {"query": "acme"}),
}
AGAINST = "bare DRF, search and one row"


def cpu_ms(group: int) -> float:
    """CPU that the process group has used so far."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            if int(fields[2]) == group:
                ticks += int(fields[11]) + int(fields[12])
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")


def measure(server, key, path, body, connections):
    group = server.group()
    before = cpu_ms(group)
    done = subprocess.run(
        [sys.executable, "-m", "tests.performance.load", str(server.port), path, str(connections), str(SECONDS), key],
        input=json.dumps(body).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert not done.stderr, done.stderr.decode()[-2000:]
    figures = json.loads(done.stdout)
    figures["cpu_ms"] = (cpu_ms(group) - before) / figures["requests"]
    return figures


def median(values):
    return sorted(values)[len(values) // 2]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="CPU of a process is read from /proc")
@pytest.mark.timeout(300)
def test_a_guarded_call_costs_at_most_four_bare_ones(world, tmp_path, capsys):
    caller = world.caller(world.allowing(), rate="9000000/m")
    server = Server(
        tmp_path, workers=1, application="tests.performance.wsgi:application", OBSERVATORY_ADDRESS_RATE="9000000/m"
    ).start()
    figures: dict[tuple[str, int], dict[str, list[float]]] = {}
    try:
        for path, body in SHAPES.values():
            measure(server, caller.secret, path, body, 8)  # warm
        for _ in range(ROUNDS):  # in turn, so that a slow moment of the machine meets all alike
            for connections in CONNECTIONS:
                for name, (path, body) in SHAPES.items():
                    kept = figures.setdefault((name, connections), {})
                    for what, value in measure(server, caller.secret, path, body, connections).items():
                        kept.setdefault(what, []).append(value)
    finally:
        server.stop()
    ratios = {}
    with capsys.disabled():
        for connections in CONNECTIONS:
            base = {what: median(values) for what, values in figures[AGAINST, connections].items()}
            for name in SHAPES:
                mine = {what: median(values) for what, values in figures[name, connections].items()}
                ratio = {what: mine[what] / base[what] for what in ("per_second", "cpu_ms", "p50_ms", "p99_ms")}
                ratios[name, connections] = ratio
                said = "  ".join(f"{what} x{value:.2f}" for what, value in ratio.items())
                sys.stdout.write(f"\n{connections:>3} connections  {name:<30} {said}  (cpu {mine['cpu_ms']:.2f} ms)")
        sys.stdout.write("\n")
    for connections in CONNECTIONS:
        assert ratios["guarded search_customer", connections]["cpu_ms"] <= MOST_CPU_RATIO
