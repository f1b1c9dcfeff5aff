"""A rate is exact under many threads: of a burst of 200 at a limit of 60, exactly 60 pass."""

from collections import Counter

import pytest
import time_machine

from tests.races.threads import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
THREADS, BURST, LIMIT = 32, 200, 60


def burst(caller, tool="search_customer"):
    """Reason codes of BURST calls by THREADS threads, with the clock standing still so that no window ends."""

    def calls(number):
        share = BURST // THREADS + (number < BURST % THREADS)
        return [caller.call(tool, {"query": "acme"}).json().get("code", "ran") for _ in range(share)]

    return Counter(code for codes in at_once(THREADS, calls) for code in codes)


@pytest.fixture
def still_clock():
    with time_machine.travel("2026-11-21T12:00:00Z", tick=False):
        yield


@pytest.mark.usefixtures("still_clock")
def test_a_keys_rate_is_exact(world):
    caller = world.caller(world.allowing(), rate=f"{LIMIT}/m")
    assert burst(caller) == {"ran": LIMIT, "rate_limited": BURST - LIMIT}


@pytest.mark.usefixtures("still_clock")
def test_a_rules_rate_is_exact(world):
    policy = world.policy(
        "p", {"tools": "*", "effect": "allow"}, {"tools": "search_*", "effect": "rate", "rate": f"{LIMIT}/m"}
    )
    assert burst(world.caller(policy)) == {"ran": LIMIT, "rate_limited": BURST - LIMIT}


@pytest.mark.usefixtures("still_clock")
def test_a_tools_rate_is_the_keys_own(world):
    from tools.models import Tool

    Tool.objects.filter(name="search_customer").update(rate="1/m")
    policy = world.allowing()
    one, other = world.caller(policy, name="one"), world.caller(policy, name="other")
    codes = [c.call("search_customer", {"query": "a"}).status_code for c in (one, one, other, other)]
    assert codes == [200, 429, 200, 429]
    refused = one.call("search_customer", {"query": "a"})
    assert 1 <= int(refused["Retry-After"]) <= 60
