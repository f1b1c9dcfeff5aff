"""What two phases cost: propose and commit against one guarded call of the same tool, as ratios of one run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.proposals import SAME, ticket
from tests.performance.test_guarded_call import cpu_ms, median
from tests.serving import Server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.alone]
CONNECTIONS = (1, 8)
SECONDS, ROUNDS = 1.2, 3
# Two requests instead of one, each with more to record: generous, so that only a blunder passes it.
MOST_RATIO = 10.0
SHAPES = ("guarded call", "propose", "propose and commit")


def measure(server, key, shape, connections, arguments):
    given = {
        "port": server.port,
        "key": key,
        "shape": shape,
        "connections": connections,
        "seconds": SECONDS,
        "arguments": arguments,
        "outputs": SAME,
    }
    before = cpu_ms(server.group())
    done = subprocess.run(
        [sys.executable, "-m", "tests.performance.two_phases_load"],
        input=json.dumps(given).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert not done.stderr, done.stderr.decode()[-2000:]
    figures = json.loads(done.stdout)
    figures["cpu_ms"] = (cpu_ms(server.group()) - before) / figures["times"]
    return figures


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="CPU of a process is read from /proc")
@pytest.mark.timeout(300)
def test_propose_and_commit_cost_a_bounded_number_of_guarded_calls(world, tmp_path, capsys):
    direct = world.caller(world.allowing("create_ticket"), name="direct", rate="9000000/m")
    phased = world.caller(world.two_phase("create_ticket"), name="phased", rate="9000000/m")
    keys = dict(zip(SHAPES, (direct.secret, phased.secret, phased.secret), strict=True))
    figures: dict[tuple[str, int], dict[str, list[float]]] = {}
    server = Server(tmp_path, workers=1, OBSERVATORY_ADDRESS_RATE="9000000/m").start()
    try:
        for shape in SHAPES:
            measure(server, keys[shape], shape, 8, ticket(world))  # warm
        for _ in range(ROUNDS):  # in turn, so that a slow moment of the machine meets all alike
            for connections in CONNECTIONS:
                for shape in SHAPES:
                    kept = figures.setdefault((shape, connections), {})
                    for what, value in measure(server, keys[shape], shape, connections, ticket(world)).items():
                        kept.setdefault(what, []).append(value)
    finally:
        server.stop()
    ratios = {}
    with capsys.disabled():
        for connections in CONNECTIONS:
            base = figures["guarded call", connections]
            for shape in SHAPES:
                mine = figures[shape, connections]
                ratio = {what: median(mine[what]) / median(base[what]) for what in ("cpu_ms", "p50_ms", "p99_ms")}
                ratios[shape, connections] = ratio
                said = "  ".join(f"{what} x{value:.2f}" for what, value in ratio.items())
                cpu = median(mine["cpu_ms"])
                sys.stdout.write(f"\n{connections:>3} connections  {shape:<20} {said}  (cpu {cpu:.2f} ms)")
        sys.stdout.write("\n")
    for connections in CONNECTIONS:
        both = ratios["propose and commit", connections]
        assert max(both["cpu_ms"], both["p50_ms"]) <= MOST_RATIO
