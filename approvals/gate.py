"""The risk gate: what needs a second phase is sent there, what needs a person waits, what has its permit goes on."""

from functools import partial

from approvals.requests import request_action
from tools.contract import Pass, Stage, Stop, ToolCall, Verdict, deny
from tools.scopes import Scope


def may_confirm_itself(call: ToolCall) -> bool:
    """The policy lets this key confirm alone, the key may confirm, and one vote from anybody would do."""
    assert call.key and call.decision  # noqa: S101
    terms = call.decision.approval
    return (
        call.decision.self_confirm
        and Scope.ACTIONS_CONFIRM in call.key.scopes
        and terms.quorum <= 1
        and not terms.groups
    )


class RiskGate(Stage):
    """The call may run now: nobody else has to agree, or those who had to did."""

    name = "risk_gate"

    def check(self, call: ToolCall) -> Pass | Stop:
        assert call.tool and call.decision  # noqa: S101
        if call.permit is not None:
            if call.permit.args_digest != call.digest:
                return deny("stale_digest", "These are not the arguments that were approved.", call)
            return Pass(call, f"permit of {call.permit.action_id}")
        if call.decision.dry_run:
            return Pass(call, "dry run: nothing will happen")
        if call.decision.requires_two_phase or call.tool.requires_two_phase:
            return deny(
                "two_phase_required",
                f"Propose {call.tool.name} first, then commit.",
                call,
                propose_with="POST /proposals",
            )
        if not (call.decision.requires_approval or call.tool.requires_approval):
            return Pass(call, "nobody has to agree")
        if call.confirm and may_confirm_itself(call):
            return Pass(call, "confirmed by its own key, as the policy allows")
        rule = call.decision.rule if call.decision.requires_approval else "the tool's own setting"
        return Stop(
            Verdict.HOLD, "approval_required", f"Waits for a person: {rule}.", {}, call, partial(request_action, call)
        )
