"""A session and a step as reports tell them: everything masked, under the names of the wire."""

from __future__ import annotations

from typing import Any

from telemetry.models import Session, Step
from telemetry.reports.masking import masked, masked_arguments, masked_text

_WORDS = ("input_text", "selected_tool", "output_text", "error", "rule", "policy", "guardrail_signals", "masked_paths")


def step_row(step: Step) -> dict[str, Any]:
    row = step.as_json()
    return row | {name: masked(row[name]) for name in _WORDS} | {"tool_args": masked_arguments(row["tool_args"])}


def session_head(session: Session) -> dict[str, Any]:
    """What is told of a session before its steps."""
    return {
        "session_id": session.session_id,
        "agent": masked_text(session.agent),
        "agent_key": session.agent_key,
        "model": masked_text(session.model),
        "provider": masked_text(session.provider) or None,
        "status": session.status,
        "reported": session.reported,
        "rules_hash": session.rules_hash,
        "policy": masked(session.policy) | {"max_steps": session.max_steps},
        "guardrails": masked(session.guardrails),
        "upstream": masked_text(session.upstream) or None,
        "labels": masked(session.labels),
        "started_at": session.created_at.isoformat(),
        "last_used_at": session.last_used_at.isoformat(),
        "ended_at": session.ended_at.isoformat() if session.ended_at else None,
        "ended_by": masked_text(session.ended_by) or None,
    }


def session_tail(session: Session) -> dict[str, Any]:
    """What is told after them: what they add up to, and what was found before the first."""
    preflight = masked(session.preflight_result)
    return {
        "steps_begun": session.steps_begun,
        "steps_refused": session.steps_refused,
        "total_steps": session.total_steps,
        "total_latency_ms": session.total_latency_ms,
        "total_cost_est": float(session.total_cost_est),
        "total_tokens_in": session.total_tokens_in,
        "total_tokens_out": session.total_tokens_out,
        "total_violations": session.total_violations,
        "tools_called": sorted(masked(session.tools_called)),
        "preflight_result": preflight,
        "session_violations": preflight.get("violations", []),
    }
