"""Sessions that live on an observatory, which decides and runs each step."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from mcp_observatory.harness.asking import Asked
from mcp_observatory.harness.readings import tools_of
from mcp_observatory.harness.records import (
    Channel,
    MCPSession,
    MCPStep,
    PreflightResult,
    SignalResult,
    StepDecision,
    list_of,
    mapping_of,
    number_of,
    text_of,
)
from mcp_observatory.harness.screening import sentence
from mcp_observatory.tool_client import ToolClient

log = logging.getLogger("mcp_observatory.harness")


class RemoteSessions:
    """Each call is one request, sent from a thread, so that the event loop goes on."""

    def __init__(self, server: ToolClient, opening: Mapping[str, Any]) -> None:
        self._server = server
        self._opening = dict(opening)

    async def start(self, session_id: str, preflight_texts: Iterable[str]) -> MCPSession:
        """The server has opened the session, or refused it at its preflight. Raises ToolCallError."""
        if list(preflight_texts):
            raise ValueError("preflight_texts are for sessions whose checks run here")
        answer = await asyncio.to_thread(self._server.open_session, session_id=session_id, **self._opening)
        session = _session(answer, session_id, self._opening["model"])
        log.debug("session %s is %s, with %d tools", session_id, session.status, len(session.tools_discovered))
        return session

    async def step(self, session: MCPSession, asked: Asked) -> MCPStep:
        """The step as the server decided and, where nothing forbade it, did it. Raises ToolCallError where none came
        about, and OutcomeUnknown where the answer was lost: look into the session before asking again.
        """
        answer = await asyncio.to_thread(
            self._server.take_step, session.session_id, _body(asked), idempotency_key=asked.idempotency_key
        )
        step = _step(answer, asked)
        _count(session, step)
        return step

    async def close(self, session: MCPSession) -> None:
        """The session is closed, here and there, with the server's own totals."""
        if not session.is_open:
            return
        answer = await asyncio.to_thread(self._server.close_session, session.session_id)
        session.status = text_of(answer.get("status")) or "closed"
        for name in ("total_latency_ms", "total_tokens_in", "total_tokens_out", "total_cost_est"):
            total = number_of(answer.get(name))
            if total is not None:
                setattr(session, name, int(total) if "tokens" in name else total)


def _body(asked: Asked) -> dict[str, Any]:
    body = {
        "role": asked.role,
        "input_text": asked.text,
        "tool_name": asked.tool,
        "tool_args": asked.args,
        "tokens_in": asked.tokens_in,
        "tokens_out": asked.tokens_out,
    }
    return {name: value for name, value in body.items() if value is not None}


def _session(answer: Mapping[str, Any], session_id: str, model: str) -> MCPSession:
    preflight = mapping_of(answer.get("preflight_result"))
    # The server tells of the violations among many signals.
    signals = tuple(SignalResult.read(one) for one in list_of(preflight.get("violations")))
    result = PreflightResult(preflight.get("passed") is True, signals, sentence(signals))
    limit = number_of(answer.get("max_steps"))
    return MCPSession(
        text_of(answer.get("session_id")) or session_id,
        text_of(answer.get("model")) or model,
        text_of(answer.get("rules_hash")),
        tools_discovered=tools_of(answer.get("tools_discovered")),
        preflight_result=result,
        session_violations=result.violations,
        status=text_of(answer.get("status")) or "open",
        provider=text_of(answer.get("provider")) or None,
        policy=mapping_of(answer.get("policy")),
        guardrails=mapping_of(answer.get("guardrails")),
        max_steps=None if limit is None else int(limit),
    )


def _step(answer: Mapping[str, Any], asked: Asked) -> MCPStep:
    """What the server answered; what it left out is as it was asked."""
    channel = answer.get("channel")
    return MCPStep(
        step_id=text_of(answer.get("step_id")),
        role=text_of(answer.get("role")) or asked.role,
        input_text=text_of(answer.get("input_text")),
        selected_tool=text_of(answer.get("selected_tool")) or None,
        tool_args=mapping_of(answer["tool_args"]) if answer.get("tool_args") is not None else None,
        output_text=text_of(answer.get("output_text")) or None,
        error=text_of(answer.get("error")) or None,
        decision=StepDecision.read(answer.get("decision")),
        channel=Channel(channel) if channel in list(Channel) else Channel(asked.channel),
        latency_ms=number_of(answer.get("latency_ms")) or 0.0,
        tokens_in=int(number_of(answer.get("tokens_in")) or 0),
        tokens_out=int(number_of(answer.get("tokens_out")) or 0),
        cost_est=number_of(answer.get("cost_est")),
        guardrail_signals=[SignalResult.read(one) for one in list_of(answer.get("guardrail_signals"))],
        reused_fingerprints=[one for one in list_of(answer.get("reused_fingerprints")) if isinstance(one, str)],
        number=int(number_of(answer.get("number")) or 0),
        reason=text_of(answer.get("reason")) or None,
        rule=text_of(answer.get("rule")) or None,
        dry_run=answer.get("dry_run") is True,
        token_source=text_of(answer.get("token_source")) or None,
        masked_paths=[one for one in list_of(answer.get("masked_paths")) if isinstance(one, str)],
        pending_action_id=text_of(answer.get("pending_action_id")) or None,
        trace_id=text_of(answer.get("trace_id")) or None,
        output=answer.get("output"),
    )


def _count(session: MCPSession, step: MCPStep) -> None:
    """The step is among the session's, by its number; one beyond the limit is counted and not kept."""
    if step.reason == "max_steps":
        session.steps_refused += 1
        return
    session.steps.append(step)
    session.steps.sort(key=lambda one: one.number)
    session.total_latency_ms += step.latency_ms
    session.total_tokens_in += step.tokens_in
    session.total_tokens_out += step.tokens_out
    session.total_cost_est += step.cost_est or 0.0
    session.session_violations += [signal for signal in step.violations if not signal.reused]
