"""A session is opened: its configuration is fixed and hashed, the tools it sees are kept, its preflight is made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from observatory.discovery import entry
from telemetry.fingerprints import rules_hash
from telemetry.guardrails import PREFLIGHT, Guardrails, Screen, Signal
from telemetry.models import Session
from telemetry.published_prices import maker_of
from telemetry.sessions import keep_signals, open_session
from tools.guardrail_screens import description_of, of_descriptions, session_screen
from tools.models import PolicyRevision
from tools.session_policy import DEFAULT_STEPS, SessionPolicy, judge, network_of
from tools.snapshot import KeyView, Snapshot, ToolView


@dataclass(frozen=True, slots=True)
class Wanted:
    """A session as its agent asks for it."""

    session_id: str
    model: str
    provider: str = ""
    policy: SessionPolicy = field(default_factory=SessionPolicy)
    guardrails: Mapping[str, Any] | None = None
    upstream: str = ""
    reported: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    session: Session
    tools: list[dict[str, Any]]


def opened(wanted: Wanted, key: KeyView, snapshot: Snapshot, now: dt.datetime) -> Opened:
    """The session is there, open, or refused where its preflight found what its mode denies.

    Raises ValueError with a sentence for guardrails that can't be read or an upstream that this key has no tool of;
    IntegrityError where the agent has a session of this name.
    """
    guardrails = snapshot.guardrails_of_sessions.narrowed(wanted.guardrails)
    tools = [] if wanted.reported else _tools_of(wanted, key, snapshot)
    session = _session(wanted, key, guardrails, now)
    session.rules_hash = rules_hash(_configuration(session, wanted, key, snapshot))
    session.tools_discovered = [{"name": t.name, "version": t.version, "digest": t.digest} for t in tools]
    signals = _preflight(session_screen(session, snapshot), tools)
    session.preflight_result = _preflight_result(signals, snapshot)
    if not session.preflight_result["passed"]:
        session.status, session.ended_at, session.ended_by = Session.Status.REFUSED, now, "preflight"
    open_session(session, key.actor)
    keep_signals(session, [signal for _, signal in signals])
    return Opened(session, [entry(tool, key, snapshot) for tool in tools])


def _tools_of(wanted: Wanted, key: KeyView, snapshot: Snapshot) -> list[ToolView]:
    """What the key may see and the session does not take away."""
    seen = snapshot.tools_for(key)
    if wanted.upstream:
        seen = [tool for tool in seen if tool.upstream is not None and tool.upstream.name == wanted.upstream]
        if not seen:
            raise ValueError("There is no upstream server of this name with a tool that this key may see.")
    return [tool for tool in seen if judge(wanted.policy, tool.name, network_of({"network": tool.network})) is None]


def _session(wanted: Wanted, key: KeyView, guardrails: Guardrails, now: dt.datetime) -> Session:
    return Session(
        session_id=wanted.session_id,
        agent_id=key.agent_id,
        agent=key.agent_name,
        agent_key=key.public_id,
        model=wanted.model,
        provider=wanted.provider or maker_of(wanted.model),
        upstream=wanted.upstream,
        reported=wanted.reported,
        policy=wanted.policy.as_json(),
        guardrails=guardrails.as_json(),
        max_steps=wanted.policy.max_steps or DEFAULT_STEPS,
        created_at=now,
        last_used_at=now,
    )


def _configuration(session: Session, wanted: Wanted, key: KeyView, snapshot: Snapshot) -> dict[str, Any]:
    """Everything that decides what a step comes to, as far as it is a setting. The same gives the same hash."""
    policy = snapshot.policy_of(key)
    revision = policy.revision if policy else None
    digest = PolicyRevision.objects.values_list("digest", flat=True).get(pk=revision.id) if revision else ""
    return {
        "model": session.model,
        "provider": session.provider,
        "policy": session.policy | {"max_steps": session.max_steps},
        "guardrails": session.guardrails,
        "upstream": wanted.upstream,
        "reported": wanted.reported,
        "key_policy": digest,
        "detectors": [
            {"name": one.name, "version": one.version, "category": str(one.category)} for one in snapshot.detectors
        ],
    }


def _preflight(screen: Screen, tools: list[ToolView]) -> list[tuple[str, Signal]]:
    """What detectors say of each tool's own description, by the tool's name."""
    reading = of_descriptions(screen)
    return [(tool.name, signal) for tool in tools for signal in reading.read(description_of(tool), PREFLIGHT)]


def _preflight_result(signals: list[tuple[str, Signal]], snapshot: Snapshot) -> dict[str, Any]:
    """Shape: passed, checked (how many tools and signals), violations (signals with their tool), detectors."""
    violations = [signal.as_json() | {"tool": name} for name, signal in signals if signal.violated]
    return {
        "passed": not any(signal.stops for _, signal in signals),
        "checked": {"tools": len({name for name, _ in signals}), "signals": len(signals)},
        "violations": violations,
        "detectors": [
            {"name": one.name, "version": one.version, "category": str(one.category)} for one in snapshot.detectors
        ],
    }


def shown(session: Session) -> dict[str, Any]:
    """A session on the wire, without its steps."""
    return {
        "session_id": session.session_id,
        "status": session.status,
        "model": session.model,
        "provider": session.provider or None,
        "rules_hash": session.rules_hash,
        "policy": session.policy | {"max_steps": session.max_steps},
        "guardrails": {name: session.guardrails[name] for name in ("mode", "thresholds")},
        "upstream": session.upstream or None,
        "reported": session.reported,
        "preflight_result": session.preflight_result,
        "max_steps": session.max_steps,
        "steps_begun": session.steps_begun,
        "steps_refused": session.steps_refused,
        "total_steps": session.total_steps,
        "total_latency_ms": session.total_latency_ms,
        "total_tokens_in": session.total_tokens_in,
        "total_tokens_out": session.total_tokens_out,
        "total_cost_est": float(session.total_cost_est),
        "total_violations": session.total_violations,
        "tools_called": sorted(session.tools_called),
        "labels": session.labels,
        "created_at": session.created_at.isoformat(),
        "ended_at": session.ended_at.isoformat() if session.ended_at else None,
    }
