"""The decision of a policy about a call. Pure: the same program and facts always give the same decision.

All rules are asked; the most restrictive gate wins, and order only decides which rule is named. Modifiers add up and
allow nothing. A rule that can't be decided stands for its effect or a person's approval, whichever is stricter.
Nothing that allows: deny.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.policy.compiler import Program
from tools.policy.effects import Effect, effect_of_error, strictest
from tools.policy.facts import Facts
from tools.policy.parameters import ApprovalTerms
from tools.policy.rule_outcome import RuleExplanation, RuleOutcome, Said, ask, explain


@dataclass(frozen=True, slots=True)
class RevisionRef:
    """Which revision of which policy a decision rests on."""

    policy_name: str
    number: int
    id: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says of one call. `effect` is the winning gate; `rule` is empty where no rule decided.

    Shape: `rates` are (rule id, rate); `matched` are (rule name, effect, "matched" | "not_matched" | "error") of every
    rule that names the tool, in order.
    """

    effect: Effect
    code: str
    detail: str
    rule: str
    rule_id: str
    policy: str
    revision: int
    revision_id: int
    requires_approval: bool
    requires_two_phase: bool
    dry_run: bool
    redact: tuple[str, ...]
    rates: tuple[tuple[str, str], ...]
    self_confirm: bool
    approval: ApprovalTerms
    errors: tuple[str, ...]
    matched: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class _Demand:
    """A gate that a rule asks for."""

    gate: Effect
    outcome: RuleOutcome


@dataclass(frozen=True, slots=True)
class _Verdict:
    effect: Effect
    code: str
    detail: str
    outcome: RuleOutcome | None = None


def evaluate(program: Program, facts: Facts, revision: RevisionRef) -> Decision:
    """The decision, with everything that explains it."""
    outcomes = [outcome for rule in program.rules if (outcome := ask(rule, facts)).said is not Said.NOT_SELECTED]
    active = [outcome for outcome in outcomes if outcome.said is not Said.NOT_MATCHED]
    demands = _demands(active)
    verdict = _verdict(program, facts, demands)
    rule = verdict.outcome.rule if verdict.outcome else None
    runs = verdict.effect is not Effect.DENY
    gates = {demand.gate for demand in demands}
    return Decision(
        effect=verdict.effect,
        code=verdict.code,
        detail=verdict.detail,
        rule=rule.name if rule else "",
        rule_id=rule.id if rule else "",
        policy=revision.policy_name,
        revision=revision.number,
        revision_id=revision.id,
        requires_approval=runs and Effect.REQUIRE_APPROVAL in gates,
        requires_two_phase=runs and Effect.REQUIRE_TWO_PHASE in gates,
        dry_run=program.dry_run or any(o.rule.effect is Effect.DRY_RUN for o in active),
        redact=tuple(dict.fromkeys(path for o in active for path in o.rule.parameters.redact)),
        rates=tuple((o.rule.id, o.rule.parameters.rate) for o in active if o.rule.parameters.rate),
        self_confirm=program.self_confirm,
        approval=_merge([demand.outcome for demand in demands]),
        errors=tuple(f"{o.rule.name}: {o.error}" for o in active if o.said is Said.ERROR),
        matched=tuple((o.rule.name, o.rule.effect.value, o.said.value) for o in outcomes),
    )


def explain_rules(program: Program, facts: Facts) -> tuple[RuleExplanation, ...]:
    """Every rule in words, in order, those that do not name the tool too."""
    return tuple(explain(rule, facts) for rule in program.rules)


def _demands(active: list[RuleOutcome]) -> list[_Demand]:
    """What the rules ask for, in order.

    A modifier that can't be decided adds a person's approval to what another rule allows. By itself it allows nothing:
    otherwise an agent could leave out a field and turn "denied, nothing allows it" into a hold.
    """
    demands = [
        _Demand(effect_of_error(o.rule.effect) if o.said is Said.ERROR else o.rule.effect, o)
        for o in active
        if o.rule.effect.is_gate or o.said is Said.ERROR
    ]
    return demands if any(demand.outcome.rule.effect.is_gate for demand in demands) else []


def _verdict(program: Program, facts: Facts, demands: list[_Demand]) -> _Verdict:
    tool = facts.tool.name
    if program.no_network and facts.tool.network != "no":
        return _Verdict(Effect.DENY, "no_network", f"The policy forbids the network, and {tool} may use it.")
    if not demands:
        return _Verdict(Effect.DENY, "denied_policy", f"No rule allows {tool}.")
    effect = strictest(demand.gate for demand in demands)
    outcome = next(demand.outcome for demand in demands if demand.gate is effect)
    code = "denied_policy" if effect is Effect.DENY else "allowed"
    return _Verdict(effect, code, _sentence(effect, outcome, tool), outcome)


def _sentence(effect: Effect, outcome: RuleOutcome, tool: str) -> str:
    rule = f"Rule “{outcome.rule.name}”"
    if outcome.said is Said.ERROR:
        counts_as = effect.label.lower()
        return f"{rule} can't be decided for this call of {tool} ({outcome.error}), which counts as: {counts_as}."
    words = {
        Effect.ALLOW: f"{rule} allows {tool}.",
        Effect.DENY: f"{rule} denies {tool}.",
        Effect.REQUIRE_APPROVAL: f"{rule} lets {tool} run when a person agrees.",
        Effect.REQUIRE_TWO_PHASE: f"{rule} lets {tool} run by a proposal and its commit.",
    }
    return words[effect]


def _merge(outcomes: list[RuleOutcome]) -> ApprovalTerms:
    """The strictest of all terms: the most people, the soonest end, and the groups of the first rule that names any.

    Lists of groups are not joined: that would let a group decide what the named rule keeps from it.
    """
    terms = [o.rule.parameters.approval for o in outcomes if o.rule.parameters.approval is not None]
    if not terms:
        return ApprovalTerms()
    return ApprovalTerms(
        quorum=max(term.quorum for term in terms),
        groups=next((term.groups for term in terms if term.groups), ()),
        expires_in_s=min(term.expires_in_s for term in terms),
    )
