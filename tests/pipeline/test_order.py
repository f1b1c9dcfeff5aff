"""The order of stages: what stands is safe, and each unsafe order is refused at boot."""

import pytest

from observatory.checks import ORDER, order_problems, stages_are_in_a_safe_order
from observatory.pipeline import STAGES

NAMES = [stage.name for stage in STAGES]


def test_the_order_that_stands_is_safe():
    assert order_problems(NAMES) == []
    assert stages_are_in_a_safe_order() == []


def test_the_order_is_the_documented_one():
    assert NAMES == [
        "authenticate",
        "rate_limit",
        "resolve_tool",
        "kill_switch",
        "session_guard",
        "schema_guard",
        "policy",
        "idempotency",
        "input_guardrails",
        "risk_gate",
    ]


@pytest.mark.parametrize(("first", "second", "why"), ORDER, ids=[f"{a}<{b}" for a, b, _ in ORDER])
def test_a_swap_is_refused(first, second, why):
    swapped = list(NAMES)
    i, j = swapped.index(first), swapped.index(second)
    swapped[i], swapped[j] = swapped[j], swapped[i]
    assert any(why in problem for problem in order_problems(swapped))


@pytest.mark.parametrize("name", [n for n in NAMES if n != "input_guardrails"])
def test_a_missing_stage_is_refused(name):
    assert order_problems([n for n in NAMES if n != name])


def test_a_stage_twice_is_refused():
    assert order_problems([*NAMES, "policy"])
