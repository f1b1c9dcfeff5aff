import datetime as dt

import pytest

from tests.tools.policy.sample import facts
from tools.policy.facts import MOST_ARGUMENT_BYTES, AgentFacts, Facts, ToolFacts
from tools.policy.weight import weigh


def test_the_mapping_has_every_fact_once_and_no_other() -> None:
    found = facts({"amount": 5}).as_mapping()
    assert {root: sorted(found[root]) for root in found} == {
        "args": ["amount"],
        "tool": [
            *("brings_private_data", "brings_untrusted_text", "idempotent", "irreversible", "name", "network"),
            *("read_only", "risk", "sends_outside", "version"),
        ],
        "agent": ["key", "name", "owner", "scopes"],
        "session": ["id", "labels", "tools_called"],
        "time": ["date", "hour", "minute", "now", "weekday"],
    }


def test_without_a_session_its_facts_are_empty() -> None:
    bare = Facts(args={}, tool=ToolFacts("a"), agent=AgentFacts(), now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert bare.as_mapping()["session"] == {"id": "", "tools_called": [], "labels": []}


def test_time_is_utc_whatever_zone_it_came_in() -> None:
    midnight = dt.datetime(2026, 11, 22, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    time = Facts(args={}, tool=ToolFacts("a"), agent=AgentFacts(), now=midnight).as_mapping()["time"]
    assert (time["date"], time["hour"], time["minute"], time["weekday"]) == ("2026-11-21", 22, 30, 5)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        Facts(args={}, tool=ToolFacts("a"), agent=AgentFacts(), now=dt.datetime(2026, 1, 1))


def _nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("a" * MOST_ARGUMENT_BYTES, "KiB"),
        (["a"] * MOST_ARGUMENT_BYTES, "KiB"),
        ("\ud800", "surrogate"),
        ({"\ud800": 1}, "surrogate"),
        (2**63, "64 bits"),
        ([-(2**63) - 1], "64 bits"),
        ([10**5000], "64 bits"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (_nested(65), "deep"),
        (_nested(100_000), "deep"),
        ({1: 2}, "key"),
        ({"a": {1, 2}}, "JSON"),
        (b"a", "JSON"),
    ],
)
def test_what_no_expression_may_see(value: object, word: str) -> None:
    assert word in weigh(value, MOST_ARGUMENT_BYTES).problem


def test_the_weight_of_a_value_is_near_its_canonical_size() -> None:
    weight = weigh({"amount": 150, "to": ["a", "b"]}, MOST_ARGUMENT_BYTES)
    assert (weight.problem, weight.longest) == ("", 2)
    assert abs(weight.size_bytes - len('{"amount":150,"to":["a","b"]}')) <= 5
