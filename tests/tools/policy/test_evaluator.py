import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.policy.sample import REVISION, decide, facts, program, rule
from tools.policy.document import RuleDocument
from tools.policy.effects import GATES, Effect, strictness
from tools.policy.evaluator import evaluate, explain_rules
from tools.policy.parameters import ApprovalTerms

# On a call whose only argument is amount = 500: a condition that holds, one that does not, two that can't be decided.
YES, NO, ERR = "args.amount equals 500", "args.amount equals 1", "args.missing equals 1"
CEL_ERR = "args.missing > 1"
CALL = facts({"amount": 500})


@pytest.mark.parametrize(
    ("rules", "effect", "code", "named"),
    [
        ([], "deny", "denied_policy", ""),
        ([rule("a", "allow")], "allow", "allowed", "a"),
        ([rule("a", "allow", tools="other")], "deny", "denied_policy", ""),
        ([rule("a", "allow", when=NO)], "deny", "denied_policy", ""),
        ([rule("a", "allow", when=f"{YES};{NO}")], "deny", "denied_policy", ""),
        ([rule("a", "allow", when=YES, expression="args.amount > 499")], "allow", "allowed", "a"),
        ([rule("a", "allow", when=YES, expression="args.amount > 500")], "deny", "denied_policy", ""),
        # the strictest wins wherever it stands; order names the rule
        ([rule("a", "allow"), rule("b", "deny")], "deny", "denied_policy", "b"),
        ([rule("b", "deny"), rule("a", "allow")], "deny", "denied_policy", "b"),
        ([rule("a", "allow"), rule("b", "require_approval")], "require_approval", "allowed", "b"),
        ([rule("a", "require_approval"), rule("b", "require_two_phase")], "require_two_phase", "allowed", "b"),
        ([rule("a", "require_two_phase"), rule("b", "deny")], "deny", "denied_policy", "b"),
        ([rule("a", "allow"), rule("b", "allow")], "allow", "allowed", "a"),
        ([rule("a", "allow"), rule("b", "deny", when=NO)], "allow", "allowed", "a"),
        # modifiers allow nothing
        ([rule("a", "redact", paths=["x"])], "deny", "denied_policy", ""),
        ([rule("a", "dry_run")], "deny", "denied_policy", ""),
        ([rule("a", "rate", rate="1/s")], "deny", "denied_policy", ""),
        ([rule("a", "rate", rate="1/s"), rule("b", "require_approval")], "require_approval", "allowed", "b"),
        # a rule that errs
        ([rule("a", "allow", when=ERR)], "require_approval", "allowed", "a"),
        ([rule("a", "allow", expression=CEL_ERR)], "require_approval", "allowed", "a"),
        ([rule("a", "deny", when=ERR), rule("b", "allow")], "deny", "denied_policy", "a"),
        ([rule("a", "require_two_phase", when=ERR)], "require_two_phase", "allowed", "a"),
        ([rule("b", "allow"), rule("a", "rate", when=ERR, rate="1/s")], "require_approval", "allowed", "a"),
        (
            [rule("b", "allow"), rule("a", "redact", expression=CEL_ERR, paths=["x"])],
            "require_approval",
            "allowed",
            "a",
        ),
        ([rule("b", "allow"), rule("a", "dry_run", when=ERR)], "require_approval", "allowed", "a"),
        ([rule("a", "rate", when=ERR, rate="1/s")], "deny", "denied_policy", ""),
        ([rule("a", "allow", when=f"{ERR};{NO}"), rule("b", "allow")], "allow", "allowed", "b"),
        ([rule("a", "deny", when=f"{ERR};{YES}"), rule("b", "allow")], "deny", "denied_policy", "a"),
    ],
)
def test_the_verdict(rules: list[RuleDocument], effect: str, code: str, named: str) -> None:
    decision = decide(*rules, on=CALL)
    assert (decision.effect, decision.code, decision.rule) == (effect, code, named)
    assert decision.detail


def test_a_decision_names_its_rule_policy_and_revision() -> None:
    decision = decide(rule("a", "allow"), self_confirm=True)
    assert (decision.policy, decision.revision, decision.revision_id, decision.rule_id) == ("support", 3, 42, "id-a")
    assert decision.self_confirm


def test_modifiers_add_up() -> None:
    decision = decide(
        rule("a", "allow"),
        rule("b", "redact", paths=["ssn", "email"]),
        rule("c", "redact", paths=["email", "phone"]),
        rule("d", "rate", rate="10/m"),
        rule("e", "rate", rate="100/h"),
        rule("f", "dry_run"),
        rule("g", "redact", when="args.amount equals 1", paths=["never"]),
        on=CALL,
    )
    assert decision.effect == "allow"
    assert decision.redact == ("ssn", "email", "phone")
    assert decision.rates == (("id-d", "10/m"), ("id-e", "100/h"))
    assert decision.dry_run


def test_a_modifier_that_errs_is_applied_all_the_same() -> None:
    decision = decide(
        rule("a", "allow"),
        rule("b", "redact", when=ERR, paths=["ssn"]),
        rule("c", "rate", when=ERR, rate="1/s"),
        rule("d", "dry_run", expression=CEL_ERR),
        on=CALL,
    )
    assert (decision.redact, decision.rates, decision.dry_run) == (("ssn",), (("id-c", "1/s"),), True)
    assert decision.requires_approval
    assert [error.split(":")[0] for error in decision.errors] == ["b", "c", "d"]


def test_approval_and_two_phases_are_both_asked_for_where_rules_of_both_kinds_match() -> None:
    decision = decide(rule("a", "require_approval"), rule("b", "require_two_phase"))
    assert (decision.requires_approval, decision.requires_two_phase) == (True, True)
    denied = decide(rule("a", "require_approval"), rule("b", "deny"))
    assert (denied.requires_approval, denied.requires_two_phase) == (False, False)


@pytest.mark.parametrize(
    ("terms", "merged"),
    [
        ([{}], ApprovalTerms(1, (), 3600)),
        ([{"quorum": 2}, {"quorum": 3}], ApprovalTerms(3, (), 3600)),
        ([{"expires_in_s": 60}, {"expires_in_s": 30}], ApprovalTerms(1, (), 30)),
        ([{"groups": ["finance"]}, {"groups": ["security"]}], ApprovalTerms(1, ("finance",), 3600)),
        ([{}, {"groups": ["security"]}], ApprovalTerms(1, ("security",), 3600)),
    ],
)
def test_terms_of_approval_merge_to_the_strictest(terms: list[dict[str, Any]], merged: ApprovalTerms) -> None:
    assert decide(*[rule(f"r{i}", "require_approval", **t) for i, t in enumerate(terms)]).approval == merged


@pytest.mark.parametrize(
    ("network", "effect", "code"),
    [("no", "allow", "allowed"), ("yes", "deny", "no_network"), ("undeclared", "deny", "no_network")],
)
def test_no_network_denies_what_does_not_declare_that_it_stays_inside(network: str, effect: str, code: str) -> None:
    decision = decide(rule("a", "allow"), on=facts(network=network), no_network=True)
    assert (decision.effect, decision.code) == (effect, code)


def test_a_policy_in_dry_run_runs_nothing() -> None:
    assert decide(rule("a", "allow"), dry_run=True).dry_run


def test_every_rule_about_the_tool_is_recorded() -> None:
    decision = decide(
        rule("a", "allow"),
        rule("b", "deny", when=NO),
        rule("c", "allow", when=ERR),
        rule("d", "deny", tools="x"),
        on=CALL,
    )
    assert decision.matched == (("a", "allow", "matched"), ("b", "deny", "not_matched"), ("c", "allow", "error"))


def test_no_word_of_a_decision_holds_an_argument() -> None:
    call = facts({"amount": "hunter2"})
    rules = (
        rule("a", "allow", when="args.amount at_most 5"),
        rule("b", "deny", expression="number(args.amount) > 5.0"),
    )
    assert "hunter2" not in str(decide(*rules, on=call))
    assert "hunter2" not in str(explain_rules(program(*rules), call))


def test_explain_says_of_each_rule_why() -> None:
    said = explain_rules(
        program(
            rule("a", "allow"),
            rule("b", "deny", tools="crm.*"),
            rule("c", "deny", when=f"{YES};{NO}"),
            rule("d", "deny", expression=CEL_ERR),
        ),
        CALL,
    )
    assert [(e.rule, e.said.value) for e in said] == [
        ("a", "matched"),
        ("b", "not_selected"),
        ("c", "not_matched"),
        ("d", "error"),
    ]
    assert said[2].because == ("args.amount is 500: yes", "args.amount is 1: no")
    assert "missing" in said[3].because[0]


# Properties: rules drawn from all effects, and conditions that hold, fail or can't be decided.
_WHEN = st.sampled_from(["", YES, NO, ERR, f"{YES};{ERR}", f"{NO};{ERR}"])
_EXPRESSION = st.sampled_from(["", "args.amount > 1", "args.amount > 900", CEL_ERR])
_PARAMETERS: dict[Effect, dict[str, Any]] = {Effect.RATE: {"rate": "1/s"}, Effect.REDACT: {"paths": ["x"]}}


@st.composite
def _rules(draw: st.DrawFn, effects: tuple[Effect, ...] = tuple(Effect), name: str = "") -> RuleDocument:
    effect = draw(st.sampled_from(effects))
    unique = name or draw(st.uuids()).hex
    return rule(unique, effect.value, when=draw(_WHEN), expression=draw(_EXPRESSION), **_PARAMETERS.get(effect, {}))


_POLICIES = st.lists(_rules(), max_size=6, unique_by=lambda r: r.id)


@given(_POLICIES, _rules((Effect.DENY,), "extra"), st.integers(0, 6))
@settings(max_examples=200)
def test_a_deny_rule_more_never_loosens(rules: list[RuleDocument], extra: RuleDocument, at: int) -> None:
    before = decide(*rules, on=CALL)
    after = decide(*rules[:at], extra, *rules[at:], on=CALL)
    assert strictness(after.effect) >= strictness(before.effect)
    if before.effect is after.effect:
        assert (after.rule, after.dry_run, after.rates, after.redact) in (
            (before.rule, before.dry_run, before.rates, before.redact),
            (extra.name, before.dry_run, before.rates, before.redact),
        )


@given(_POLICIES)
@settings(max_examples=200)
def test_a_rule_that_errs_is_never_looser_than_a_persons_word(rules: list[RuleDocument]) -> None:
    decision = decide(*rules, on=CALL)
    if decision.errors:
        assert strictness(decision.effect) >= strictness(Effect.REQUIRE_APPROVAL)
        erring = {name: effect for name, effect, said in decision.matched if said == "error"}
        if Effect.DENY in erring.values():
            assert decision.effect is Effect.DENY


@given(_POLICIES, st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_order_changes_nothing_but_the_name(rules: list[RuleDocument], random: Any) -> None:
    shuffled = list(rules)
    random.shuffle(shuffled)
    one, other = decide(*rules, on=CALL), decide(*shuffled, on=CALL)
    for same in ("effect", "code", "requires_approval", "requires_two_phase", "dry_run", "approval"):
        assert getattr(one, same) == getattr(other, same)
    assert set(one.redact) == set(other.redact)
    assert set(one.rates) == set(other.rates)


@given(_POLICIES)
def test_only_a_gate_that_is_no_denial_lets_anything_run(rules: list[RuleDocument]) -> None:
    if not any(r.effect in GATES and r.effect is not Effect.DENY for r in rules):
        assert decide(*rules, on=CALL).effect is Effect.DENY


def test_threads_share_a_program_and_agree() -> None:
    shared = program(
        rule("a", "allow", when="args.amount less_than 500"),
        rule("b", "require_approval", expression="args.amount >= 500"),
        rule("c", "deny", when="args.amount at_least 900"),
    )
    wrong: list[int] = []
    asked = [0] * 8

    def ask(worker: int) -> None:
        for turn in range(500):
            amount = (worker * 131 + turn * 7) % 1000
            expected = "deny" if amount >= 900 else "require_approval" if amount >= 500 else "allow"
            if evaluate(shared, facts({"amount": amount}), REVISION).effect != expected:
                wrong.append(amount)
            asked[worker] += 1

    threads = [threading.Thread(target=ask, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(asked) == 4000
