"""What the tests of this folder start from: a call by alice's agent, and rules in few words."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from tools.policy.compiler import Program, compile_policy
from tools.policy.conditions import Condition, Operator
from tools.policy.document import PolicyDocument, RuleDocument
from tools.policy.effects import Effect
from tools.policy.evaluator import Decision, RevisionRef, evaluate
from tools.policy.facts import AgentFacts, Facts, SessionFacts, ToolFacts

# A Saturday.
NOW = dt.datetime(2026, 11, 21, 14, 5, 30, tzinfo=dt.UTC)
REVISION = RevisionRef("support", 3, 42)


def facts(args: Mapping[str, Any] | None = None, tool: str = "transfer_funds", **about_tool: Any) -> Facts:
    return Facts(
        args=args or {},
        tool=ToolFacts(name=tool, risk="high", **{"network": "no", "version": 2, **about_tool}),
        agent=AgentFacts("billing", "mo_k1", "alice", ("tools:call",)),
        session=SessionFacts("s1", ("search_customer",), ("urgent",)),
        now=NOW,
    )


def rule(
    name: str, effect: str, tools: str = "*", when: str = "", expression: str = "", **parameters: Any
) -> RuleDocument:
    """`when` is "field operator value", with ";" between several."""
    parts = [part.strip().split(" ", 2) for part in when.split(";") if part.strip()]
    return RuleDocument(
        id=f"id-{name}",
        name=name,
        tools=tuple(tools.split()),
        effect=Effect(effect),
        conditions=tuple(Condition(p[0], Operator(p[1]), p[2] if len(p) > 2 else "") for p in parts),
        expression=expression,
        parameters=parameters,
    )


def program(*rules: RuleDocument, **flags: bool) -> Program:
    return compile_policy(PolicyDocument(rules=rules, **flags))


def decide(*rules: RuleDocument, on: Facts | None = None, **flags: bool) -> Decision:
    return evaluate(program(*rules, **flags), on or facts(), REVISION)
