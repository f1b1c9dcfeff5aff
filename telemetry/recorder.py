"""The only writer of what happened. Events are written in the transaction of what they record."""

import datetime as dt
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from telemetry import trail
from telemetry.canonical import canonical_bytes
from telemetry.encryption import open_sealed, seal
from telemetry.event_types import EVENT_TYPES
from telemetry.inserting import insert
from telemetry.metrics.late_spans import mark_late
from telemetry.models import AuditEvent, Payload, RefusalCount, Span
from telemetry.partitions import ensure_partitions
from telemetry.redaction import Redacted, redact

_known_days: set[dt.date] = set()
REFUSAL_SHARDS = 16
# What a person wrote stands under this name in the data of an event, and is kept whole: forms bound it at 2,000
# characters, and a mask can be several times as long as what it replaces. A program's is cut here.
WHY = "why"
LONGEST_WHY = 12_000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, by the name of the day. `access_subject`: of whose access token, where one proved it."""

    kind: str
    id: str = ""
    name: str = ""
    access_subject: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What it was done to."""

    kind: str = ""
    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided, by which rule of which revision."""

    decision: str = ""
    reason: str = ""
    policy: str = ""
    policy_revision: int | None = None
    rule: str = ""


SYSTEM = Actor("system", "", "system")
NO_RULING = Ruling()


class OutsideTransactionError(RuntimeError):
    """An event was about to be written apart from what it records."""


def record_event(  # noqa: PLR0913 (an event is who, what, to what, why and when)
    type_: str,
    actor: Actor,
    subject: Subject = Subject(),
    *,
    ruling: Ruling = NO_RULING,
    trace_id: str = "",
    data: Mapping[str, Any] | None = None,
    now: dt.datetime | None = None,
) -> AuditEvent:
    """The event is part of the running transaction; its line follows in the trail once that commits.

    Raises: KeyError for a type that is not registered; OutsideTransactionError without a transaction.
    """
    if type_ not in EVENT_TYPES:
        raise KeyError(type_)
    if not connection.in_atomic_block:
        raise OutsideTransactionError(type_)
    if actor.access_subject:
        data = {**(data or {}), "access_subject": actor.access_subject}
    event = AuditEvent(
        occurred_at=now or timezone.now(),
        type=type_,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor=actor.name[:150],
        subject_kind=subject.kind,
        subject_id=subject.id,
        subject=subject.name[:150],
        decision=ruling.decision,
        reason=ruling.reason,
        policy=ruling.policy,
        policy_revision=ruling.policy_revision,
        rule=ruling.rule[:120],
        trace_id=trace_id,
        data=_event_data(data) if data else "{}",
    )
    insert(event)
    transaction.on_commit(lambda: trail.write(event.as_line()), robust=True)
    return event


def masked_json(data: Mapping[str, Any]) -> str:
    """Canonical JSON text of `data`, masked, its strings cut; the masked paths are listed beside it."""
    return _as_json(redact(dict(data)))


def _event_data(data: Mapping[str, Any]) -> str:
    """As `masked_json`, with what a person wrote kept whole."""
    redacted = redact({name: item for name, item in data.items() if name != WHY})
    if WHY not in data:
        return _as_json(redacted)
    why = redact({WHY: data[WHY]}, limit=LONGEST_WHY)
    return _as_json(Redacted(redacted.value | why.value, redacted.masked_paths + why.masked_paths))


def _as_json(redacted: Redacted) -> str:
    value = redacted.value
    if redacted.masked_paths:
        value = {**value, "masked_paths": list(redacted.masked_paths)}
    return canonical_bytes(value).decode()


def ensure_day(day: dt.date) -> None:
    """The day's span partition exists, even where no sweep made it."""
    if day not in _known_days:
        ensure_partitions(Span, day)
        # Only once it is committed: a rolled-back partition is not there.
        transaction.on_commit(lambda: _known_days.add(day))


def ensure_days_ahead(days: set[dt.date]) -> None:
    """As `ensure_day`, each in a transaction of its own: what makes a partition keeps all others from writing."""
    for day in sorted(days - _known_days):
        with transaction.atomic():
            ensure_day(day)


def record_spans(spans: Iterable[Span]) -> None:
    """The spans are part of the running transaction."""
    rows = list(spans)
    for day in {span.start_time.astimezone(dt.UTC).date() for span in rows}:
        ensure_day(day)
    if len(rows) == 1:
        insert(rows[0])
    else:
        Span.objects.bulk_create(rows)
    mark_late((row.start_time for row in rows), timezone.now())


def count_refusal(reason: str, now: dt.datetime) -> None:
    """One more refusal before authentication in this minute: one statement, whatever the flood."""
    minute = now.replace(second=0, microsecond=0)
    table = connection.ops.quote_name(RefusalCount._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (minute, reason, shard, count) VALUES (%s, %s, %s, 1)"  # noqa: S608 (the table's own name)
            f" ON CONFLICT (minute, reason, shard) DO UPDATE SET count = {table}.count + 1",
            [minute, reason, os.getpid() % REFUSAL_SHARDS],
        )


def store_payload(
    purpose: str, plaintext: bytes, expires_at: dt.datetime, now: dt.datetime, *, holder: str = ""
) -> Payload:
    """The bytes are stored encrypted, bound to their row, until `expires_at`."""
    row_id = uuid.uuid4()
    payload = Payload(
        id=row_id,
        purpose=purpose,
        sealed=seal(plaintext, purpose=f"payload.{purpose}", context=str(row_id)),
        size_bytes=len(plaintext),
        holder=holder,
        created_at=now,
        expires_at=expires_at,
    )
    payload.save(force_insert=True)
    return payload


def open_payload(payload: Payload) -> bytes:
    """The stored bytes, for the pipeline's own use. Raises CannotOpen."""
    return open_sealed(bytes(payload.sealed), purpose=f"payload.{payload.purpose}", context=str(payload.id))


def show_payload(payload: Payload, reader: Actor, of: Subject, trace_id: str = "") -> bytes:
    """The stored bytes, for a person: the reading itself is an audit event about what they belong to."""
    with transaction.atomic():
        data = {"payload": str(payload.id), "purpose": payload.purpose}
        record_event("payload.read", reader, of, trace_id=trace_id, data=data)
        return open_payload(payload)
