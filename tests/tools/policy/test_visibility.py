import pytest

from tests.tools.policy.sample import program, rule
from tools.policy.document import RuleDocument
from tools.policy.visibility import may_see


@pytest.mark.parametrize(
    ("rules", "visible", "named"),
    [
        ([], False, ""),
        ([rule("a", "allow")], True, "a"),
        ([rule("a", "require_approval")], True, "a"),
        ([rule("a", "require_two_phase")], True, "a"),
        ([rule("a", "allow", when="args.x equals 1")], True, "a"),
        ([rule("a", "allow", tools="crm.*")], False, ""),
        ([rule("a", "dry_run"), rule("b", "redact", paths=["x"]), rule("c", "rate", rate="1/s")], False, ""),
        ([rule("a", "allow"), rule("b", "deny")], False, "b"),
        ([rule("a", "allow"), rule("b", "deny", when="args.x equals 1")], True, "a"),
        ([rule("a", "allow"), rule("b", "deny", expression="args.x == 1")], True, "a"),
        ([rule("a", "allow"), rule("b", "deny", tools="crm.*")], True, "a"),
    ],
)
def test_a_tool_is_seen_where_some_call_could_run(rules: list[RuleDocument], visible: bool, named: str) -> None:
    answer = may_see(program(*rules), "create_ticket")
    assert (answer.visible, answer.rule) == (visible, named)
    assert answer.why
