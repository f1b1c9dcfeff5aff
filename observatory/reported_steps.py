"""Steps that ran elsewhere: what they came to is told here, and recorded as told. Nothing runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from observatory.pipeline import through
from observatory.records import Stopwatch
from telemetry.recorder import Ruling, Subject, record_event
from telemetry.redaction import redact_text
from telemetry.sessions import StepEnd, end_step
from tools.contract import Stop, ToolCall
from tools.reasons import REASONS, Reason
from tools.stages.kill_switch import KillSwitchGuard
from tools.stages.rate_limit import RateLimit
from tools.stages.session_guard import SessionGuard

STAGES_OF_REPORTS = (RateLimit(), KillSwitchGuard(), SessionGuard(reported=True))
_MEMBERS = ("decision", "reason", "output_text", "error", "latency_ms", "dry_run", "guardrail_signals")
_MOST_SIGNALS = 100


@dataclass(frozen=True, slots=True)
class Reported:
    """What a step came to elsewhere, as its reporter says."""

    reason: Reason
    output_text: str = ""
    error: str = ""
    latency_ms: float = 0.0
    dry_run: bool = False
    signals: tuple[Mapping[str, Any], ...] = ()


def report(call: ToolCall, told: Reported) -> Stop | None:
    """The step is on record as reported, with its event; the Stop where the session takes none. Nothing runs."""
    stop = _refused_report(call)
    if stop is not None:
        return stop
    begun, key = call.in_session.begun, call.key
    assert begun and key
    with transaction.atomic():
        end = StepEnd(
            Ruling(told.reason.decision, told.reason.code),
            output_text=told.output_text,
            error=told.error,
            dry_run=told.dry_run,
            trace_id=call.trace.trace_id,
            latency_us=int(told.latency_ms * 1000),
            extra_signals=told.signals,
            tool_ran=call.tool_name if told.reason.code == "allowed" else "",
        )
        call.in_session.ended = end_step(begun, end, timezone.now())
        record_event(
            "session.step",
            key.actor,
            Subject("session", str(begun.session.pk), begun.session.session_id),
            ruling=Ruling(told.reason.decision, told.reason.code),
            trace_id=call.trace.trace_id,
            data={"step": begun.number, "role": begun.said.role, "reported": True},
        )
    return None


def _refused_report(call: ToolCall) -> Stop | None:
    answer = through(STAGES_OF_REPORTS, call, Stopwatch())
    return answer if isinstance(answer, Stop) else None


def reported(outcome: object) -> Reported:
    """An outcome as it was sent. Raises ValueError with a sentence."""
    if not isinstance(outcome, dict):
        raise ValueError("outcome is an object.")
    if set(outcome) - set(_MEMBERS):
        raise ValueError(f"outcome has no other members than {', '.join(_MEMBERS)}.")
    latency, dry = outcome.get("latency_ms", 0), outcome.get("dry_run", False)
    if isinstance(latency, bool) or not isinstance(latency, int | float) or not 0 <= latency < 10**9:
        raise ValueError("outcome.latency_ms is a number, 0 or more.")
    if not isinstance(dry, bool) or not math.isfinite(latency):
        raise ValueError("outcome.dry_run is true or false.")
    texts = {name: outcome.get(name) or "" for name in ("output_text", "error")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("outcome.output_text and outcome.error are texts.")
    return Reported(_reason_of(outcome), **texts, latency_ms=latency, dry_run=dry, signals=_signals(outcome))


_WORDS = {"ok": "allowed", "denied_schema": "denied_schema", "denied_policy": "denied_policy", "error": "tool_failed"}


def _reason_of(outcome: Mapping[str, Any]) -> Any:
    """The reason as reported, where it is one of ours and of that decision; else the plainest of the decision."""
    decision, code = outcome.get("decision"), outcome.get("reason")
    if decision == "dry_run":
        return REASONS["dry_run"]
    if not isinstance(decision, str) or decision not in _WORDS:
        raise ValueError(f"outcome.decision is one of {', '.join([*_WORDS, 'dry_run'])}.")
    known = REASONS.get(code) if isinstance(code, str) else None
    return known if known is not None and known.decision == decision else REASONS[_WORDS[decision]]


def _signals(outcome: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Names and figures of each signal as reported; whatever else it holds is left out."""
    signals = outcome.get("guardrail_signals") or []
    if not isinstance(signals, list) or len(signals) > _MOST_SIGNALS:
        raise ValueError(f"outcome.guardrail_signals is a list of at most {_MOST_SIGNALS}.")
    if not all(isinstance(signal, dict) for signal in signals):
        raise ValueError("A signal is an object.")
    return tuple(_signal(signal) for signal in signals)


def _signal(reported: Mapping[str, Any]) -> dict[str, Any]:
    """A signal's names and figures as they may be stored; what is missing or of another kind is empty."""
    names = ("provider", "metric", "stage", "fingerprint", "reason")
    score, threshold, kinds = reported.get("score"), reported.get("threshold"), reported.get("kinds")
    return {
        **{name: _name(reported.get(name)) for name in names},
        "score": _figure(score),
        "threshold": _figure(threshold),
        "violated": reported.get("violated") is True,
        "denies": reported.get("denies") is True,
        "reused": reported.get("reused") is True,
        "kinds": {_name(kind): count for kind, count in list(kinds.items())[:20] if _is_count(count)}
        if isinstance(kinds, dict)
        else {},
    }


def _name(told: object) -> str:
    return redact_text(str(told or "")[:200], 80).replace("\x00", "")


def _figure(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
