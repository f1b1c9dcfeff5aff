"""What guardrails cost a call: with each detector, and all of them, against none, as ratios of one run."""

import sys

import pytest

from telemetry.detectors.registry import BUILT_IN
from telemetry.models import GuardrailSettings
from tests.performance.test_guarded_call import measure, median
from tests.serving import Server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.alone]
CALL = (
    "/tools/search_customer",
    {"query": "acme, of whom a customer wrote: the parcel 4711 came late on Monday at 10:15"},
)
ROUNDS, CONNECTIONS = 3, 8
# All of the detectors that come with the product together: less than half a call more.
MOST_RATIO = 1.5


def settings_for():
    """The installation's settings by what is asked: nothing, each built-in detector that is there, all of them."""
    there = [one.name for one in BUILT_IN if not one.missing()]
    everyone = [one.name for one in BUILT_IN]
    found = {"off": ("off", [])}
    found |= {name: ("advisory", [other for other in everyone if other != name]) for name in there}
    return found | {"all": ("advisory", [])}


@pytest.mark.timeout(300)
def test_guardrails_cost_less_than_half_a_call_more(world, tmp_path, capsys):
    caller = world.caller(world.allowing(), rate="9000000/m")
    server = Server(tmp_path, workers=1, OBSERVATORY_ADDRESS_RATE="9000000/m").start()
    cpu_ms = {}
    try:
        for _ in range(ROUNDS):
            for name, (mode, off) in settings_for().items():
                GuardrailSettings.objects.update_or_create(id=1, defaults={"calls_mode": mode, "switched_off": off})
                found = measure(server, caller.secret, *CALL, CONNECTIONS)
                cpu_ms.setdefault(name, []).append(found["cpu_ms"])
    finally:
        server.stop()
    ratios = {name: median(values) / median(cpu_ms["off"]) for name, values in cpu_ms.items()}
    with capsys.disabled():
        said = "  ".join(f"{name} x{ratio:.2f}" for name, ratio in ratios.items())
        sys.stdout.write(f"\nCPU of a guarded search by detectors: {said}  (off {median(cpu_ms['off']):.2f} ms)\n")
    assert ratios["all"] <= MOST_RATIO
