import dataclasses
from typing import Any

import pytest

from tests.tools.policy.sample import rule
from tools.policy.compiler import MOST_RULES, PolicyProblem, compile_policy
from tools.policy.conditions import Condition, Operator
from tools.policy.document import PolicyDocument, RuleDocument


def _problems(*rules: RuleDocument) -> list[tuple[int, str]]:
    with pytest.raises(PolicyProblem) as caught:
        compile_policy(PolicyDocument(rules))
    return [(problem.rule_index, problem.field) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("effect", "parameters"),
    [
        ("rate", {"rate": "10/m"}),
        ("rate", {"rate": "5/10m"}),
        ("rate", {"rate": "0/s"}),
        ("redact", {"paths": ["args.ssn", "results.*.email"]}),
        ("require_approval", {}),
        ("require_approval", {"quorum": 2, "groups": ["finance"], "expires_in_s": 60}),
        ("allow", {}),
    ],
)
def test_parameters_that_fit_their_effect(effect: str, parameters: dict[str, Any]) -> None:
    compile_policy(PolicyDocument((rule("a", effect, **parameters),)))


@pytest.mark.parametrize(
    ("effect", "parameters"),
    [
        ("rate", {}),
        ("rate", {"rate": 10}),
        ("rate", {"rate": "10/w"}),
        ("rate", {"rate": "10/0m"}),
        ("rate", {"rate": "10/m\n"}),
        ("rate", {"rate": "٥/m"}),
        ("rate", {"rate": "10/m", "burst": 3}),
        ("redact", {}),
        ("redact", {"paths": []}),
        ("redact", {"paths": "a"}),
        ("redact", {"paths": ["a..b"]}),
        ("redact", {"paths": [1]}),
        ("require_approval", {"quorum": 0}),
        ("require_approval", {"quorum": True}),
        ("require_approval", {"quorum": 1.5}),
        ("require_approval", {"groups": "finance"}),
        ("require_approval", {"groups": [""]}),
        ("require_approval", {"expires_in_s": 0}),
        ("require_approval", {"expires_in_s": 10**9}),
        ("allow", {"rate": "10/m"}),
        ("deny", {"quorum": 2}),
        ("dry_run", {"paths": ["a"]}),
    ],
)
def test_parameters_that_do_not_fit_are_a_problem(effect: str, parameters: dict[str, Any]) -> None:
    assert (0, "parameters") in _problems(rule("a", effect, **parameters))


def test_every_problem_is_listed_with_its_rule_and_field() -> None:
    good = rule("good", "allow", when="args.a equals 1")
    found = _problems(
        good,
        RuleDocument("id-1", "bad", (), good.effect, (good.conditions[0], Condition("x", Operator.EQUALS, "1")), "1 +"),
        rule("c", "rate", tools="UPPER"),
        dataclasses.replace(rule("d", "allow"), id="id-good"),
        dataclasses.replace(rule("e", "allow"), name=" "),
    )
    assert set(found) == {
        (3, "id"),
        (1, "tools"),
        (1, "conditions.1"),
        (1, "expression"),
        (2, "tools"),
        (2, "parameters"),
        (4, "name"),
    }


def test_a_problem_in_an_expression_has_its_line_and_column() -> None:
    with pytest.raises(PolicyProblem) as caught:
        compile_policy(PolicyDocument((rule("a", "allow", expression="args.a > 1 &&\nnope"),)))
    problem = caught.value.problems[0]
    assert (problem.rule, problem.line, problem.column) == ("a", 2, 1)
    assert "line 2, column 1" in str(caught.value)


def test_too_many_rules_are_one_problem() -> None:
    rules = [dataclasses.replace(rule("a", "allow"), id=str(i)) for i in range(MOST_RULES + 1)]
    assert _problems(*rules) == [(-1, "rules")]


def test_too_many_conditions_are_a_problem() -> None:
    many = tuple(Condition("args.a", Operator.EQUALS, "1") for _ in range(51))
    assert _problems(dataclasses.replace(rule("a", "allow"), conditions=many)) == [(0, "conditions")]
