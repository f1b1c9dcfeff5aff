"""The risk gate: what needs a second phase is sent there, what needs a person waits, what has its permit goes on."""

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from django.contrib.auth import get_user_model

from approvals.proposing import propose
from approvals.requests import request_action
from tools.contract import Pass, Stage, Stop, ToolCall, Verdict, deny
from tools.policy.effects import Effect
from tools.policy.evaluator import Decision
from tools.scopes import Scope
from tools.snapshot import KeyView

MAY_DECIDE = "approvals.decide_pendingaction"
TOOL_SETTING = "the tool's own setting"


def may_confirm_itself(call: ToolCall) -> bool:
    """The policy lets this key confirm alone, the key may confirm, its owner may decide, and one vote would do."""
    assert call.key and call.decision
    terms = call.decision.approval
    return (
        call.decision.self_confirm
        and not call.decision.errors
        and may_decide_alone(call.key, quorum=terms.quorum, groups=terms.groups)
    )


def may_decide_alone(key: KeyView, *, quorum: int, groups: Collection[str]) -> bool:
    """The key may confirm, its owner may decide, and one vote of anybody would do."""
    return Scope.ACTIONS_CONFIRM in key.scopes and quorum <= 1 and not groups and _owner_may_decide(key.owner_id)


def _owner_may_decide(owner_id: int) -> bool:
    owner = get_user_model().objects.filter(pk=owner_id, is_active=True).first()
    return owner is not None and owner.has_perm(MAY_DECIDE)


def by_the_rule_that_asks(call: ToolCall, decision: Decision) -> ToolCall:
    """The call with the rule named because of which a person is asked, where a stricter one was named."""
    if decision.effect is Effect.REQUIRE_APPROVAL:
        return call
    asks = (name for name, effect, said in decision.matched if said == "error" or _asks(effect, said))
    return call.with_(decision=replace(decision, rule=next(asks, decision.rule)))


def _asks(effect: str, said: str) -> bool:
    return effect == Effect.REQUIRE_APPROVAL.value and said == "matched"


def needs_a_person(call: ToolCall) -> bool:
    """A rule or the tool's own setting asks for somebody's approval."""
    assert call.tool and call.decision
    return call.decision.requires_approval or call.tool.requires_approval


def by_the_tool(call: ToolCall, decision: Decision) -> ToolCall:
    """The call with what stops it named: not the rule that allows it."""
    return call.with_(decision=replace(decision, rule=TOOL_SETTING, rule_id=""))


class RiskGate(Stage):
    """The call may run now: nobody else has to agree, or those who had to did."""

    name = "risk_gate"

    def check(self, call: ToolCall) -> Pass | Stop:
        assert call.tool and call.decision
        if call.permit is not None:
            if call.permit.args_digest != call.digest:
                return deny("stale_digest", "These are not the arguments that were approved.", call)
            return Pass(call, f"permit of {call.permit.action_id}")
        if call.decision.dry_run:
            return Pass(call, "dry run: nothing will happen")
        if call.intent is not None:
            return self._propose(call)
        if call.decision.requires_two_phase or call.tool.requires_two_phase:
            by_rule = call.decision.requires_two_phase
            return deny(
                "two_phase_required",
                f"Propose {call.tool.name} first, then commit.",
                call if by_rule else by_the_tool(call, call.decision),
                propose_with="POST /proposals",
                propose_as=f"{call.tool.name}_propose",
            )
        if not needs_a_person(call):
            return Pass(call, "nobody has to agree")
        if call.confirm and may_confirm_itself(call):
            return Pass(call.with_(confirmed_by_key=True), "confirmed by its own key, as the policy allows")
        held = call if call.decision.requires_approval else by_the_tool(call, call.decision)
        why = held.decision.rule if held.decision else ""
        record = partial(request_action, held)
        return Stop(Verdict.HOLD, "approval_required", f"Waits for a person: {why}.", {}, held, record)

    def _propose(self, call: ToolCall) -> Stop:
        """Whoever has to agree to a call has to agree to its proposal; then it may be committed."""
        assert call.decision
        if not needs_a_person(call):
            return propose(call, waits=False)
        if call.confirm and may_confirm_itself(call):
            return propose(call.with_(confirmed_by_key=True), waits=False)
        by_rule = call.decision.requires_approval
        return propose((by_the_rule_that_asks if by_rule else by_the_tool)(call, call.decision), waits=True)
