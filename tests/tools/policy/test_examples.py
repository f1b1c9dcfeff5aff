import pytest

from tests.tools.policy.sample import facts, program, rule
from tools.policy.examples import Example, run_examples
from tools.policy.facts import Facts

PROGRAM = program(
    rule("small", "allow", tools="refund", when="args.amount at_most 500"),
    rule("large", "require_approval", tools="refund", when="args.amount greater_than 500"),
    rule("phases", "require_two_phase", tools="transfer"),
    rule("try", "allow", tools="deploy"),
    rule("only try", "dry_run", tools="deploy"),
)
TOOLS = {"refund", "transfer", "deploy", "wipe"}


def _facts(example: Example) -> Facts:
    return facts(example.arguments, tool=example.tool)


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("refund", {"amount": "500.00"}, "allow"),
        ("refund", {"amount": "500.01"}, "require_approval"),
        ("refund", {}, "require_approval"),
        ("transfer", {}, "require_two_phase"),
        ("deploy", {}, "dry_run"),
        ("wipe", {}, "deny"),
    ],
)
def test_an_example_passes_only_with_what_the_policy_says(tool: str, arguments: dict[str, str], expected: str) -> None:
    words = ("allow", "deny", "require_approval", "require_two_phase", "dry_run")
    table = [Example(word, tool, arguments, word) for word in words]
    failures = run_examples(PROGRAM, table, TOOLS, _facts)
    assert [f.example.name for f in failures] == [word for word in words if word != expected]
    assert {f.said for f in failures} == {expected}


@pytest.mark.parametrize("example", [Example("a", "gone", {}, "deny"), Example("a", "wipe", {}, "denied")])
def test_an_unknown_tool_or_word_is_a_failure(example: Example) -> None:
    failure = run_examples(PROGRAM, [example], TOOLS, _facts)[0]
    assert (failure.example, failure.said) == (example, "")
    assert failure.detail
