import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.policy.sample import facts
from tools.policy.cel import (
    MOST_SOURCE_CHARACTERS,
    MOST_WORK,
    EvaluationError,
    ExpressionProblem,
    compile_expression,
)

ERROR = "error"


def _answer(source: str, args: dict[str, Any]) -> bool | str:
    answer = compile_expression(source).evaluate(facts(args))
    return ERROR if isinstance(answer, EvaluationError) else answer


@pytest.mark.parametrize(
    ("source", "args", "expected"),
    [
        # whole numbers and decimals of arguments compare with both
        ("args.amount > 100", {"amount": 150}, True),
        ("args.amount > 100", {"amount": 150.5}, True),
        ("args.amount > 100.0", {"amount": 150}, True),
        ("args.amount == 150", {"amount": 150.0}, True),
        ("args.amount > 100", {"amount": "150"}, ERROR),
        ("args.amount > 100", {"amount": True}, ERROR),
        ("args.amount > 100", {"amount": None}, ERROR),
        # money that travels as text
        ("number(args.amount) > 100.0", {"amount": "150.00"}, True),
        ("number(args.amount) > 100.0", {"amount": 150}, True),
        ("number(args.amount) > 100.0", {"amount": "nan"}, ERROR),
        ("!(number(args.amount) > 100.0)", {"amount": "nan"}, ERROR),
        ("number(args.amount) > 100.0", {"amount": "inf"}, ERROR),
        ("number(args.amount) > 100.0", {"amount": "1e400"}, ERROR),
        ("number(args.amount) > 100.0", {"amount": "1_000"}, ERROR),
        ("number(args.amount) > 100.0", {"amount": " 150"}, ERROR),
        ("number(args.amount) > 100.0", {"amount": "9" * 65}, ERROR),
        ("number(args.amount) > 100.0", {"amount": "abc"}, ERROR),
        ("number(args.amount) > 100.0", {"amount": True}, ERROR),
        ("number(args.amount) > 100.0", {"amount": None}, ERROR),
        # missing fields
        ("args.amount > 100", {}, ERROR),
        ("args.customer.id == 'a'", {"customer": "x"}, ERROR),
        ("has(args.amount)", {}, False),
        ("has(args.amount) && args.amount > 100", {}, False),
        # limits of values, whether or not the expression looks at them
        ("args.a > 1", {"a": 2**63 - 1}, True),
        ("args.a > 1", {"a": 2**63}, ERROR),
        ("true", {"a": 2**63}, ERROR),
        ("true", {"a": "\ud800"}, ERROR),
        ("true", {"\ud800": 1}, ERROR),
        ("true", {"a": float("nan")}, ERROR),
        ("true", {"a": object()}, ERROR),
        ("true", {"a": "a" * 32 * 1024}, ERROR),
        ("args.a > 1", {"a": -(2**63)}, False),
        # overflow and a zero
        ("args.a * args.a > 1", {"a": 2**62}, ERROR),
        ("args.a % 0 == 1", {"a": 1}, ERROR),
        # a type that is no BOOL at run time, which the checker can't know
        ("args.a ? true : false", {"a": "yes"}, ERROR),
        ("args.a || false", {"a": 1}, ERROR),
        ("!args.a", {"a": "x"}, ERROR),
        # the other facts
        ("tool.name == 'transfer_funds' && tool.risk == 'high' && tool.version == 2", {}, True),
        ("'tools:call' in agent.scopes && agent.owner == 'alice'", {}, True),
        ("session.tools_called.exists(t, t == 'search_customer')", {}, True),
        ("time.hour == 14 && time.weekday == 5 && time.date == '2026-11-21' && time.minute == 5", {}, True),
        ("time.now > timestamp('2026-11-21T14:00:00Z')", {}, True),
        ("time.now - duration('1h') < timestamp('2026-11-21T14:00:00Z')", {}, True),
        ("args.items.all(i, i.qty < 10)", {"items": [{"qty": 1}, {"qty": 9}]}, True),
        ("args.items.exists(i, i.sku.startsWith('x'))", {"items": [{"sku": "ab"}]}, False),
    ],
)
def test_an_expression_answers_true_false_or_an_error(source: str, args: dict[str, Any], expected: bool | str) -> None:
    assert _answer(source, args) == expected


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("args.a.map(x, x).size() > 1", "map"),
        ("args.a.map(a, [a, a]).map(a, [a, a]).size() > 1", "map"),
        ("args.a.filter(x, true).size() > 1", "filter"),
        ("args.a.exists_one(x, x == 1)", "exists_one"),
        ("args.a.matches('(a+)+$')", "matches"),
        ("matches(args.a, 'a')", "matches"),
        ("args.a + args.b > 3", "+"),
        ("args.a / args.b > 0.5", "/"),
        ("double(args.a) > 3.0", "number()"),
        ("1.0 == 1", "1.0"),
        ("number(args.a) > 500", "500.0"),
        ("args.a", "true or false"),
        ("'a'", "true or false"),
        ("has(time.now)", "true or false"),
        ("nope == 1", "nope"),
        ("args.", "Syntax"),
        ("", "Syntax"),
        ("\ud800", "text"),
        ("true" + " " * MOST_SOURCE_CHARACTERS, "longer"),
        ("(" * 900 + "true" + ")" * 900, "deep"),
        ("[" * 900 + "]" * 900 + " == []", "deep"),
        ("args" + ".a" * 900 + " == 1", "deep"),
        ("true ? " * 200, ""),
        ("\x00" * 2000, ""),
        ("é" * 2000, ""),
        ("a||" * 600 + "a", ""),
        ("9" * 1900 + " > 1", ""),
    ],
)
def test_what_does_not_compile_says_why_and_soon(source: str, word: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ExpressionProblem) as caught:
        compile_expression(source)
    assert time.perf_counter() - started < 0.5
    assert word in caught.value.message
    assert len(caught.value.message) <= 300


def test_a_problem_has_its_line_and_column() -> None:
    with pytest.raises(ExpressionProblem) as caught:
        compile_expression("args.amount > 5 &&\n  nope == 1")
    assert (caught.value.line, caught.value.column) == (2, 3)


_HOSTILE_ARGS: list[dict[str, Any]] = [
    {"a": list(range(5000)), "b": 1, "s": "x", "t": "y"},
    {"a": ["q"] * 5000, "b": "z", "s": "x", "t": "y"},
    {"a": list(range(1400)), "b": 1, "s": "a" * 14_000, "t": "a" * 7_000 + "b"},
    {"a": {str(i): i for i in range(2000)}, "b": 1, "s": "x", "t": "y"},
    {"a": [[[[]]]] * 2500, "b": 1, "s": "x", "t": "y"},
    {"a": [1] * 90, "b": 1, "s": "a" * 15_000, "t": "a" * 7_500 + "b"},
]


@pytest.mark.parametrize("args", _HOSTILE_ARGS)
@pytest.mark.parametrize(
    "source",
    [
        "args.a.all(x, args.a.all(y, args.a.all(z, true)))",
        "args.a.exists(x, args.a.exists(y, args.a.exists(z, false)))",
        "args.a.all(x, args.a == args.a)",
        "args.a.all(x, x in args.a)",
        "args.a.all(x, args.s.contains(args.t) || true)",
        "args.a.all(x, args.a.all(y, args.s < args.t || true))",
        "args.a.all // a comment\n (x, args.a == args.a)",
        "&&".join(["args.a.all(x,args.a==args.a)"] * 60),
        "&&".join(["args==args"] * 160),
        "||".join(["args.s.contains(args.t)"] * 80),
        "args.a.all(x," + "&&".join(["args.a==args.a"] * 120) + ")",
        "[" + ",".join(["1"] * 900) + "].all(x, args.a == args.a)",
    ],
)
def test_a_hostile_evaluation_ends_soon(source: str, args: dict[str, Any]) -> None:
    expression = compile_expression(source)
    started = time.perf_counter()
    answer = expression.evaluate(facts(args))
    assert time.perf_counter() - started < 0.5
    assert answer is True or answer is False or isinstance(answer, EvaluationError)


def test_the_loop_budget_of_the_package_ends_what_our_bound_lets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.policy.cel.MOST_WORK", 10**12)
    answer = compile_expression("args.a.all(x, args.a.all(y, true))").evaluate(facts({"a": list(range(1000))}))
    assert answer == EvaluationError("The expression loops too often over these arguments.")


def test_an_order_of_three_hundred_lines_is_not_too_much_work() -> None:
    expression = compile_expression("args.items.all(i, i.qty > 0 && i.price < 500 && i.sku != '')")
    call = facts({"items": [{"qty": 1, "price": 2, "sku": "abc"}] * 300})
    assert expression.work(call) < MOST_WORK
    assert expression.evaluate(call) is True


def test_an_error_never_holds_an_argument() -> None:
    for source in (
        "args.a > 1",
        "number(args.a) > 1.0",
        "args.m[args.a] == 1",
        "int(args.a) > 1",
        "timestamp(args.a) > time.now",
    ):
        answer = compile_expression(source).evaluate(facts({"a": "hunter2", "m": {}}))
        assert isinstance(answer, EvaluationError)
        assert "hunter2" not in answer.message


def test_threads_share_a_program_and_agree() -> None:
    expression = compile_expression(
        "number(args.amount) > 100.0 && args.list.exists(i, i == args.amount)"
        " && time.now > timestamp('2026-01-01T00:00:00Z')"
    )
    wrong: list[Any] = []
    asked = [0] * 8

    def ask(worker: int) -> None:
        for turn in range(500):
            amount = worker * 50 + turn % 100
            answer = expression.evaluate(facts({"amount": str(amount), "list": [str(i) for i in range(0, 500, 2)]}))
            if answer is not (amount > 100 and amount % 2 == 0):
                wrong.append((amount, answer))
            asked[worker] += 1

    threads = [threading.Thread(target=ask, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(asked) == 4000


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
_SOURCES = ["args.x > 1", "args.x == 'a'", "args.x.all(i, i > 1)", "args.x.y == 1", "number(args.x) < 3.0", "!args.x"]


@given(_JSON, st.sampled_from(_SOURCES))
def test_any_argument_gets_one_of_three_answers(value: Any, source: str) -> None:
    answer = compile_expression(source).evaluate(facts({"x": value}))
    assert answer is True or answer is False or isinstance(answer, EvaluationError)
