from collections.abc import Callable
from dataclasses import replace

from tools.contract import Pass, Stage, Stop, ToolCall, deny
from tools.in_session import policy_of
from tools.policy.effects import Effect
from tools.policy.evaluator import Decision, evaluate
from tools.policy.facts import AgentFacts, Facts, SessionFacts, tool_facts
from tools.rates import RateStoreUnavailableError, Usage, consume, peek
from tools.stages.rate_limit import limited


def facts_of(call: ToolCall) -> Facts:
    """What rules see of a call."""
    assert call.key and call.tool
    key, tool = call.key, call.tool
    return Facts(
        args=dict(call.arguments),
        tool=tool_facts(tool, tool.version),
        agent=AgentFacts(
            name=key.agent_name, key=key.public_id, owner=key.owner_name, scopes=tuple(sorted(key.scopes))
        ),
        session=_session_facts(call),
        now=call.received_at,
    )


def _session_facts(call: ToolCall) -> SessionFacts:
    session = call.in_session.session
    if session is None:
        return SessionFacts()
    return SessionFacts(session.session_id, tuple(session.tools_called), tuple(session.labels))


def _in_session(decision: Decision, call: ToolCall) -> Decision:
    """A session that runs nothing for real makes a dry run of whatever the policy allows."""
    session = call.in_session.session
    is_dry = session is not None and call.permit is None and policy_of(session).dry_run
    return replace(decision, dry_run=True) if is_dry else decision


class PolicyGuard(Stage):
    """The key's policy lets this call go on; what the decision asks for travels with the call."""

    name = "policy"

    def check(self, call: ToolCall) -> Pass | Stop:
        return self._ask(call, consume)

    def explain(self, call: ToolCall) -> Pass | Stop:
        return self._ask(call, peek)

    def _ask(self, call: ToolCall, ask: Callable[[str, str], Usage]) -> Pass | Stop:
        assert call.key and call.tool and call.snapshot
        policy = call.snapshot.policy_of(call.key)
        if policy is None or policy.program is None or policy.revision is None:
            return deny("denied_policy", (policy and policy.broken) or "No policy is in force for this key.", call)
        if call.permit is not None and call.permit.policy_revision_id != policy.revision.id:
            return deny("policy_changed", "The policy was published again since the call was made.", call)
        if call.permit is not None and call.permit.tool_version_id != call.tool.version_id:
            return deny("tool_changed", "The tool has another version since the call was made.", call)
        decision = _in_session(evaluate(policy.program, facts_of(call), policy.revision), call)
        found = call.with_(decision=decision)
        if decision.effect == Effect.DENY:
            return deny(decision.code, decision.detail, found)
        if call.permit is None:
            stop = self._spend(decision, found, ask)
            if stop is not None:
                return stop
        return Pass(found, f"{decision.effect.label}: {decision.rule} (r{decision.revision})")

    def _spend(self, decision: Decision, call: ToolCall, ask: Callable[[str, str], Usage]) -> Stop | None:
        assert call.key
        for rule_id, rate in decision.rates:
            try:
                usage = ask(f"key:{call.key.public_id}:rule:{rule_id}", rate)
            except RateStoreUnavailableError:
                return deny("rate_store_unavailable", call=call)
            if not usage.allowed:
                return limited(usage, "A rule's rate for this key", call)
        return None
