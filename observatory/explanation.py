"""What a call would be answered, stage by stage, with nothing run, counted or claimed."""

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from observatory.pipeline import STAGES
from telemetry.trace_context import continue_or_start
from tools.contract import Door, Pass, Stage, Stop, ToolCall, Verdict
from tools.policy.evaluator import explain_rules
from tools.snapshot import KeyView, current
from tools.stages.policy_guard import facts_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StageAnswer:
    """One stage's answer. `verdict` is pass, deny, hold, replay, or not_asked."""

    stage: str
    verdict: str
    code: str = ""
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would happen: the verdict, who decided, every stage's answer and every rule's."""

    verdict: str
    code: str
    detail: str
    stages: tuple[StageAnswer, ...]
    rules: tuple[Any, ...] = ()
    policy: str = ""
    revision: int | None = None
    rule: str = ""


def explain(key: KeyView, tool_name: str, arguments: Mapping[str, Any], now: dt.datetime) -> Explanation:
    """Every stage's `explain()` in order; those after the first Stop are not asked, for they need what it lacked."""
    call = ToolCall(
        tool_name=tool_name,
        arguments=dict(arguments),
        door=Door.REST,
        trace=continue_or_start(None),
        received_at=now,
        identified_as=key.public_id,
    )
    answers: list[StageAnswer] = []
    ended: Stop | None = None
    for stage in STAGES:
        if ended is not None:
            answers.append(StageAnswer(stage.name, "not_asked"))
            continue
        answer = _ask(stage, call)
        if isinstance(answer, Stop):
            ended = answer
            call = answer.call or call
            facts = {name: value for name, value in answer.facts.items() if name != "body"}
            answers.append(StageAnswer(stage.name, answer.verdict.value, answer.code, answer.detail, facts))
        else:
            call = answer.call
            answers.append(StageAnswer(stage.name, "pass", detail=answer.note))
    return _explained(call, ended, tuple(answers))


def _ask(stage: Stage, call: ToolCall) -> Pass | Stop:
    try:
        return stage.explain(call)
    except Exception:
        log.exception("explain of %s failed", stage.name)
        return Stop(
            Verdict.DENY, "part_unavailable", f"The stage {stage.name} failed, so a call would be denied.", {}, call
        )


def _explained(call: ToolCall, ended: Stop | None, answers: tuple[StageAnswer, ...]) -> Explanation:
    decision = call.decision
    rules: tuple[Any, ...] = ()
    policy = call.snapshot.policy_of(call.key) if call.snapshot and call.key else None
    if policy and policy.program and call.tool:
        rules = tuple(explain_rules(policy.program, facts_of(call)))
    dry = bool(decision and decision.dry_run)
    return Explanation(
        verdict=ended.verdict.value if ended else "dry_run" if dry else "allow",
        code=ended.code if ended else "dry_run" if dry else "allowed",
        detail=ended.detail if ended else "",
        stages=answers,
        rules=rules,
        policy=policy.name if policy else "",
        revision=policy.revision.number if policy and policy.revision else None,
        rule=decision.rule if decision else "",
    )


def key_named(public_id: str) -> KeyView | None:
    return current().keys_by_public_id.get(public_id)
