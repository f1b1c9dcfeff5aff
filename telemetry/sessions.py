"""The only writer of sessions and steps. A step is begun, and counted, before anything runs for it, and ended once.

How many steps a session has, and what they add up to, is exact however many run at once: the session's row counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from telemetry.guardrails import Known, Signal
from telemetry.models import KeptSignal, Session, Step
from telemetry.prices import cost_of
from telemetry.recorder import SYSTEM, Actor, Ruling, Subject, record_event
from telemetry.redaction import redact, redact_text
from telemetry.tokens import ESTIMATE, REPORTED, estimate_tokens
from telemetry.visible import visible

CUT_OFF_AFTER = dt.timedelta(minutes=15)
CUT_OFF = "outcome_unknown"
_LONGEST_ERROR = 400
_LONGEST_TEXT = 200
_MOST_TOKENS = 2**40


@dataclass(frozen=True, slots=True)
class Said:
    """What a step brings: whose words, which tool, and the tokens that its agent counted, where it did."""

    role: str
    channel: str
    input_text: str = ""
    tool_name: str = ""
    arguments: Mapping[str, Any] | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None


@dataclass(frozen=True, slots=True)
class BegunStep:
    """A step that counts from now on. `labels` and `tools_called` are the session's as it began."""

    session: Session
    step_id: int
    number: int
    said: Said
    began_at: dt.datetime


@dataclass(frozen=True, slots=True)
class StepEnd:
    """What a step came to. `output` is what detectors and the agent may see; it is masked and cut here."""

    ruling: Ruling
    output_text: str = ""
    error: str = ""
    dry_run: bool = False
    signals: tuple[Signal, ...] = ()
    trace_id: str = ""
    pending_action_id: str = ""
    tool_ran: str = ""
    labels: frozenset[str] = frozenset()
    latency_us: int | None = None
    extra_signals: tuple[Mapping[str, Any], ...] = field(default=())


def find(agent_id: int, session_id: str) -> Session | None:
    """The agent's own session of this name; another agent's is as one that is not there."""
    return Session.objects.of_agent(agent_id).filter(session_id=session_id).first()


def open_session(session: Session, actor: Actor) -> Session:
    """The session is there, with its event. Raises IntegrityError where the agent has one of this name."""
    with transaction.atomic():
        session.save(force_insert=True)
        type_ = "session.refused" if session.status == Session.Status.REFUSED else "session.opened"
        record_event(type_, actor, _subject(session), data=_configuration(session), now=session.created_at)
    return session


def _subject(session: Session) -> Subject:
    return Subject("session", str(session.pk), session.session_id)


def _configuration(session: Session) -> dict[str, Any]:
    return {
        "model": session.model,
        "rules_hash": session.rules_hash,
        "policy": session.policy,
        "guardrails": session.guardrails,
        "upstream": session.upstream,
        "max_steps": session.max_steps,
        "reported": session.reported,
    }


_BEGIN = """
UPDATE telemetry_session SET steps_begun = steps_begun + 1, last_used_at = greatest(last_used_at, %s)
WHERE id = %s AND status = 'open' AND steps_begun < max_steps
RETURNING steps_begun, labels, tools_called
"""
_REFUSE = """
UPDATE telemetry_session SET steps_refused = steps_refused + 1 WHERE id = %s AND status = 'open'
"""


def begin_step(session: Session, said: Said, now: dt.datetime) -> BegunStep | None:
    """The step has its number and its row; None where the session has ended, or has as many as it may.

    `session` then knows what has come in until now. Locks: the session's row, until the end of the transaction.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_BEGIN, [now, session.pk])
        row = cursor.fetchone()
        if row is None:
            cursor.execute(_REFUSE, [session.pk])
            return None
        session.steps_begun, session.labels, session.tools_called = row
        step = _row(session, said, now)
        step.save(force_insert=True)
    return BegunStep(session, step.pk, step.number, said, now)


def _row(session: Session, said: Said, now: dt.datetime) -> Step:
    shown = redact({"input_text": said.input_text, "tool_args": said.arguments}, limit=_LONGEST_TEXT)
    return Step(
        session=session,
        number=session.steps_begun,
        role=said.role,
        channel=said.channel,
        input_text=_storable(shown.value["input_text"]),
        selected_tool=shown_name(said.tool_name),
        tool_args=_without_nul(shown.value["tool_args"]),
        masked_paths=[_storable(path) for path in shown.masked_paths],
        began_at=now,
    )


def shown_name(text: str) -> str:
    """A tool's name as it may be stored: of one that no tool has, secrets are masked and odd characters escaped."""
    return visible(redact_text(text, 64))[:64]


def _storable(text: str) -> str:
    """PostgreSQL has no NUL in texts, and no lone surrogates."""
    return text.replace("\x00", "␀").encode("utf-8", "replace").decode()


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, dict):
        return {_storable(name): _without_nul(item) for name, item in value.items()}
    return [_without_nul(item) for item in value] if isinstance(value, list) else value


_END = """
UPDATE telemetry_session SET total_steps = total_steps + 1, total_latency_us = total_latency_us + %(latency)s,
    total_tokens_in = total_tokens_in + %(tokens_in)s, total_tokens_out = total_tokens_out + %(tokens_out)s,
    total_cost_est = total_cost_est + %(cost)s, total_violations = total_violations + %(violations)s,
    last_used_at = greatest(last_used_at, %(now)s),
    tools_called = CASE WHEN %(tool)s = ANY (tools_called || ARRAY['']::varchar[]) THEN tools_called
        ELSE array_append(tools_called, %(tool)s) END,
    labels = ARRAY(SELECT DISTINCT label FROM unnest(labels || %(labels)s::varchar[]) AS label ORDER BY label)
WHERE id = %(session)s
"""


def end_step(begun: BegunStep, end: StepEnd, now: dt.datetime) -> Step | None:
    """The step has ended and is in its session's sums, within the running transaction; None where it had ended before.

    Locks: the step's row, then the session's.
    """
    step = Step.objects.select_for_update().filter(pk=begun.step_id, ended_at=None).first()
    if step is None:
        return None
    _fill(step, begun, end, now)
    step.save()
    # A savepoint of one statement: what was kept meanwhile by another step is the same.
    KeptSignal.objects.bulk_create(_to_keep(begun.session, end.signals), ignore_conflicts=True)
    with connection.cursor() as cursor:
        cursor.execute(
            _END,
            {
                "session": begun.session.pk,
                "latency": step.latency_us,
                "tokens_in": step.tokens_in,
                "tokens_out": step.tokens_out,
                "cost": step.cost_est or Decimal(0),
                "violations": step.violations,
                "now": now,
                "tool": shown_name(end.tool_ran),
                "labels": sorted(end.labels),
            },
        )
    return step


def _fill(step: Step, begun: BegunStep, end: StepEnd, now: dt.datetime) -> None:
    said, session, ruling = begun.said, begun.session, end.ruling
    step.decision, step.reason, step.rule = ruling.decision, ruling.reason, ruling.rule[:120]
    step.policy, step.policy_revision = ruling.policy, ruling.policy_revision
    step.output_text = _storable(redact_text(end.output_text, _LONGEST_TEXT))
    step.error = _storable(redact_text(end.error, _LONGEST_ERROR))
    step.dry_run, step.trace_id, step.pending_action_id = end.dry_run, end.trace_id, end.pending_action_id
    latency = (now - begun.began_at) // dt.timedelta(microseconds=1) if end.latency_us is None else end.latency_us
    step.latency_us, step.ended_at = max(latency, 0), max(now, step.began_at)
    step.tokens_in, step.tokens_out, step.token_source = _tokens(said, end)
    cost, _ = cost_of(session.provider, session.model, step.tokens_in, step.tokens_out, begun.began_at)
    step.cost_est = cost
    signals = [signal.as_json() for signal in end.signals] + [dict(told) for told in end.extra_signals]
    step.guardrail_signals = signals
    step.violations = sum(bool(signal["violated"]) for signal in signals)
    reused = (signal["fingerprint"] for signal in signals if signal["reused"])
    step.reused_fingerprints = list(dict.fromkeys(reused))


def _tokens(said: Said, end: StepEnd) -> tuple[int, int, str]:
    """In: what the step brought. Out: what came back. As its agent counted, else by length."""
    if said.tokens_in is not None or said.tokens_out is not None:
        return said.tokens_in or 0, said.tokens_out or 0, REPORTED
    brought = said.input_text + ("" if said.arguments is None else str(dict(said.arguments)))
    return estimate_tokens(brought), estimate_tokens(end.output_text), ESTIMATE


def _to_keep(session: Session, signals: Iterable[Signal]) -> list[KeptSignal]:
    """What a detector said, once each, not that it could not say; in one order, lest two steps wait for each other."""
    kept = {
        (signal.content, signal.fingerprint): KeptSignal(
            session=session,
            fingerprint=signal.fingerprint,
            content=signal.content,
            signal={"score": signal.score, "kinds": dict(signal.kinds)},
        )
        for signal in signals
        if not signal.reused and signal.score is not None and signal.content
    }
    return [kept[name] for name in sorted(kept)]


def keep_signals(session: Session, signals: Iterable[Signal]) -> None:
    """What the preflight found is known to every step."""
    KeptSignal.objects.bulk_create(_to_keep(session, signals), ignore_conflicts=True)


def known_signals(session: Session, contents: Iterable[str]) -> Known:
    """What detectors said before in this session, by content and fingerprint."""
    rows = KeptSignal.objects.filter(session=session, content__in=list(contents))
    return {(row.content, row.fingerprint): row.signal for row in rows}


def note_run(agent_id: int, session_id: str, tool_name: str, labels: Iterable[str]) -> None:
    """What ran later for a step that had ended, held: its session knows of it, within the running transaction."""
    session = Session.objects.select_for_update().of_agent(agent_id).filter(session_id=session_id).first()
    if session is not None:
        session.tools_called = list(dict.fromkeys([*session.tools_called, tool_name]))
        session.labels = sorted({*session.labels, *labels})
        session.save(update_fields=["tools_called", "labels"])


_EVENTS = {
    Session.Status.CLOSED: "session.closed",
    Session.Status.EXPIRED: "session.expired",
    Session.Status.STOPPED: "session.stopped",
}


def close_session(session: Session, actor: Actor) -> Session:
    """The agent's session takes no more steps. One that has ended stays as it ended."""
    _end(session, Session.Status.CLOSED, actor)
    return session


def stop_session(session: Session, actor: Actor, why: str) -> bool:
    """An operator ended it: later steps are refused, a call that runs is not cut off. False where it had ended."""
    return _end(session, Session.Status.STOPPED, actor, why)


def _end(session: Session, status: Session.Status, actor: Actor, why: str = "") -> bool:
    """The session has ended; whether this ended it."""
    now = timezone.now()
    with transaction.atomic():
        moved = (
            Session.objects.open().filter(pk=session.pk).update(status=status, ended_at=now, ended_by=actor.name[:150])
        )
        if moved:
            record_event(_EVENTS[status], actor, _subject(session), data={"why": why} if why else None, now=now)
    session.refresh_from_db()
    return bool(moved)


def expire_idle(now: dt.datetime, idle: dt.timedelta, limit: int = 500) -> int:
    """Sessions that nobody has used for so long have ended; how many. Safe to run twice at once."""
    ended = 0
    for session in Session.objects.idle_since(now - idle)[:limit]:
        with transaction.atomic():
            # One that was used since it was read is not idle.
            moved = (
                Session.objects.idle_since(now - idle)
                .filter(pk=session.pk)
                .order_by()
                .update(status=Session.Status.EXPIRED, ended_at=now, ended_by=SYSTEM.name)
            )
            if moved:
                record_event("session.expired", SYSTEM, _subject(session), now=now)
            ended += moved
    return ended


def end_cut_off(now: dt.datetime, limit: int = 500) -> int:
    """Steps whose process was ended while they ran say so; how many. Safe to run twice at once."""
    ended = 0
    lapsed = Step.objects.unfinished().filter(began_at__lte=now - CUT_OFF_AFTER).select_related("session")
    for step in lapsed.order_by("began_at")[:limit]:
        said = Said(step.role, step.channel, tokens_in=0, tokens_out=0)
        begun = BegunStep(step.session, step.pk, step.number, said, step.began_at)
        with transaction.atomic():
            end = StepEnd(Ruling("error", CUT_OFF), error="The step was cut off; what came of it is not known.")
            ended += end_step(begun, end, now) is not None
    return ended


def forget_signals(limit: int = 5_000) -> int:
    """What was kept to be said again in sessions that have ended is gone, so much at a time; how many."""
    over = KeptSignal.objects.exclude(session__status=Session.Status.OPEN).values("pk")[:limit]
    return KeptSignal.objects.filter(pk__in=over).delete()[0]


def reported_tokens(value: object) -> int | None:
    """A count of tokens as an agent sent it, or None. Raises ValueError with a sentence."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_TOKENS:
        raise ValueError("A count of tokens is a whole number, 0 or more.")
    return value
