from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.policy.sample import facts
from tools.policy.conditions import (
    MOST_VALUE_CHARACTERS,
    OPERATOR_LABELS,
    Condition,
    ConditionError,
    Operator,
    compile_condition,
    condition_problem,
)

ARGS: dict[str, Any] = {
    "amount": 500,
    "price": 99.5,
    "money": "500.00",
    "yes": True,
    "currency": "EUR",
    "nothing": None,
    "word": "null",
    "nan": "NaN",
    "real_nan": float("nan"),
    "real_inf": float("inf"),
    "huge": 10**5000,
    "huge_text": "9" * 5000,
    "tags": ["a", "b"],
    "mixed": [1, "a"],
    "customer": {"id": "c1"},
    "items": [{"sku": "x"}, {"sku": "y"}],
    "arabic": "٥٠٠",
}
ERROR = "error"


def _test(field: str, operator: str, value: str = "") -> bool | str:
    answer = compile_condition(Condition(field, Operator(operator), value)).test(facts(ARGS).as_mapping())
    return ERROR if isinstance(answer, ConditionError) else answer


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        # equals: by kind
        ("args.amount", "equals", "500", True),
        ("args.amount", "equals", "500.0", True),
        ("args.amount", "equals", "5e2", True),
        ("args.amount", "equals", "501", False),
        ("args.amount", "equals", "EUR", ERROR),
        ("args.price", "equals", "99.50", True),
        ("args.money", "equals", "500.00", True),
        ("args.money", "equals", "500", False),
        ("args.yes", "equals", "true", True),
        ("args.yes", "equals", "false", False),
        ("args.yes", "equals", "1", ERROR),
        ("args.nothing", "equals", "null", True),
        ("args.nothing", "equals", "EUR", ERROR),
        ("args.amount", "equals", "null", False),
        ("args.word", "equals", "null", True),
        ("args.currency", "equals", "eur", False),
        ("args.tags", "equals", "a", ERROR),
        ("args.currency", "not_equals", "USD", True),
        ("args.currency", "not_equals", "EUR", False),
        ("args.amount", "not_equals", "EUR", ERROR),
        ("args.missing", "equals", "1", ERROR),
        ("args.missing", "not_equals", "1", ERROR),
        # choices
        ("args.currency", "in", "USD, EUR", True),
        ("args.currency", "in", "USD,GBP", False),
        ("args.currency", "not_in", "USD, EUR", False),
        ("args.currency", "not_in", "USD", True),
        ("args.amount", "in", "EUR, 500", True),
        ("args.amount", "in", "EUR, 501", ERROR),
        ("args.missing", "not_in", "a", ERROR),
        # order
        ("args.amount", "less_than", "500", False),
        ("args.amount", "at_most", "500", True),
        ("args.amount", "greater_than", "499.99", True),
        ("args.amount", "at_least", "500.01", False),
        ("args.money", "at_least", "500", True),
        ("args.price", "less_than", "99.51", True),
        ("args.yes", "at_least", "0", ERROR),
        ("args.nan", "less_than", "5", ERROR),
        ("args.real_nan", "less_than", "5", ERROR),
        ("args.real_inf", "greater_than", "5", ERROR),
        ("args.huge", "greater_than", "5", ERROR),
        ("args.huge_text", "greater_than", "5", ERROR),
        ("args.arabic", "greater_than", "5", ERROR),
        ("args.currency", "greater_than", "5", ERROR),
        ("args.nothing", "at_most", "5", ERROR),
        ("args.missing", "at_most", "5", ERROR),
        # texts and lists
        ("args.currency", "contains", "U", True),
        ("args.currency", "contains", "u", False),
        ("args.currency", "starts_with", "EU", True),
        ("args.currency", "ends_with", "UR", True),
        ("args.amount", "starts_with", "5", ERROR),
        ("args.amount", "contains", "5", ERROR),
        ("args.customer", "contains", "id", ERROR),
        ("args.tags", "contains", "b", True),
        ("args.tags", "contains", "c", False),
        ("args.mixed", "contains", "a", True),
        ("args.mixed", "contains", "b", ERROR),
        ("agent.scopes", "contains", "tools:call", True),
        ("session.tools_called", "contains", "transfer_funds", False),
        # presence
        ("args.amount", "is_present", "", True),
        ("args.nothing", "is_present", "", True),
        ("args.missing", "is_present", "", False),
        ("args.missing", "is_absent", "", True),
        ("args.customer.id", "is_present", "", True),
        ("args.currency.id", "is_absent", "", True),
        # paths
        ("args.customer.id", "equals", "c1", True),
        ("args.items.0.sku", "equals", "x", True),
        ("args.items.1.sku", "equals", "x", False),
        ("args.items.2.sku", "equals", "x", ERROR),
        ("args.items.-1.sku", "equals", "y", ERROR),
        ("args.currency.0", "equals", "E", ERROR),
        # the other roots
        ("tool.risk", "equals", "high", True),
        ("tool.read_only", "equals", "false", True),
        ("tool.version", "at_least", "2", True),
        ("agent.name", "in", "billing, support", True),
        ("time.hour", "at_least", "14", True),
        ("time.weekday", "in", "5, 6", True),
        ("time.date", "equals", "2026-11-21", True),
    ],
)
def test_a_condition_is_true_false_or_an_error(field: str, operator: str, value: str, expected: bool | str) -> None:
    assert _test(field, operator, value) is expected or _test(field, operator, value) == expected == ERROR


@pytest.mark.parametrize(
    ("field", "operator", "value"),
    [
        ("amount", "equals", "1"),
        ("argz.amount", "equals", "1"),
        ("args", "equals", "1"),
        ("args.", "equals", "1"),
        ("args..a", "equals", "1"),
        ("", "equals", "1"),
        ("args." + "a" * 200, "equals", "1"),
        ("tool.colour", "equals", "1"),
        ("tool.name.x", "equals", "1"),
        ("time.now", "equals", "1"),
        ("args.amount", "less_than", ""),
        ("args.amount", "less_than", "abc"),
        ("args.amount", "less_than", "NaN"),
        ("args.amount", "less_than", "Infinity"),
        ("args.amount", "less_than", "1e9999"),
        ("args.amount", "less_than", "9" * 41),
        ("args.amount", "in", ""),
        ("args.amount", "in", "a,,b"),
        ("args.amount", "in", ",".join("a" * 201)),
        ("args.amount", "equals", "a" * (MOST_VALUE_CHARACTERS + 1)),
        ("args.amount", "contains", ""),
        ("args.amount", "is_present", "x"),
        ("tool.read_only", "equals", "yes"),
        ("tool.risk", "at_least", "5"),
        ("time.hour", "equals", "noon"),
        ("time.hour", "starts_with", "1"),
        ("time.hour", "contains", "1"),
        ("agent.scopes", "equals", "tools:call"),
    ],
)
def test_a_condition_that_makes_no_sense_is_a_problem(field: str, operator: str, value: str) -> None:
    condition = Condition(field, Operator(operator), value)
    assert condition_problem(condition)
    with pytest.raises(ValueError, match=r"."):
        compile_condition(condition)


def test_every_operator_has_its_own_label() -> None:
    assert len(set(OPERATOR_LABELS.values())) == len(Operator) == len(OPERATOR_LABELS)


def test_an_error_names_the_field_and_never_holds_the_value() -> None:
    condition = Condition("args.secret", Operator.AT_MOST, "5")
    answer = compile_condition(condition).test(facts({"secret": "hunter2"}).as_mapping())
    assert isinstance(answer, ConditionError)
    assert answer.field == "args.secret"
    assert "hunter2" not in str(answer)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(_JSON, st.sampled_from(Operator), st.sampled_from(["5", "-0.5", "a", "true", "null", "a, 5"]))
def test_any_argument_gets_one_of_three_answers_and_negation_keeps_errors(
    value: Any, operator: Operator, typed: str
) -> None:
    condition = Condition("args.x", operator, typed if operator.takes_value else "")
    if condition_problem(condition):
        return
    answer = compile_condition(condition).test(facts({"x": value}).as_mapping())
    assert answer is True or answer is False or isinstance(answer, ConditionError)
    opposite = {Operator.EQUALS: Operator.NOT_EQUALS, Operator.IN: Operator.NOT_IN}.get(operator)
    if opposite is not None:
        other = compile_condition(Condition("args.x", opposite, typed)).test(facts({"x": value}).as_mapping())
        assert isinstance(other, ConditionError) if isinstance(answer, ConditionError) else other is not answer
