"""Which subjects of access tokens act as which agent's key."""

import datetime as dt
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from telemetry.recorder import Actor, Subject, record_event
from tools.actions.agents import refuse_more_than_own
from tools.actions.changes import changes
from tools.models import AccessSubject, AgentKey, UnmappedSubject


def _subject(row: AccessSubject) -> Subject:
    return Subject("access_subject", str(row.pk), str(row))


def _facts(row: AccessSubject) -> dict[str, Any]:
    return {"issuer": row.issuer, "tokens_of": str(row), "agent": row.key.agent.name, "acts_as": row.key.public_id}


def map_subject(row: AccessSubject, actor: Actor, now: dt.datetime) -> AccessSubject:
    """The subject's tokens act as the key, from the next call on."""
    with transaction.atomic():
        _refuse(row.key, actor, now)
        row.mapped_by_id = int(actor.id) if actor.kind == "operator" else None
        row.full_clean()
        row.save(force_insert=True)
        seen = Q(subject=row.value) if row.kind == AccessSubject.Kind.SUBJECT else Q(client=row.value)
        UnmappedSubject.objects.filter(seen, issuer=row.issuer).delete()
        record_event("subject.mapped", actor, _subject(row), data=_facts(row))
    return row


def change_subject(row: AccessSubject, actor: Actor, now: dt.datetime) -> AccessSubject:
    """The subject's tokens act as another key of the same agent, from the next call on."""
    with transaction.atomic():
        before = AccessSubject.objects.select_for_update(of=("self",)).select_related("key__agent").get(pk=row.pk)
        if before.unmapped_at is not None:
            raise ValidationError("It is unmapped; map the subject anew.")
        if before.key.agent_id != row.key.agent_id:
            raise ValidationError({"key": "Choose another key of the same agent, or unmap it and map it anew."})
        _refuse(row.key, actor, now)
        row.full_clean()
        row.save(update_fields=["key"])
        record_event("subject.changed", actor, _subject(row), data=changes(_facts(before), _facts(row)))
    return row


def unmap_subject(row: AccessSubject, actor: Actor, now: dt.datetime, *, reason: str = "") -> bool:
    """The subject's tokens act as nobody, from the next call on; False where they did so already."""
    with transaction.atomic():
        if not AccessSubject.objects.in_force().filter(pk=row.pk).update(unmapped_at=now):
            return False
        record_event("subject.unmapped", actor, _subject(row), data=_facts(row) | {"reason": reason})
    return True


def _refuse(key: AgentKey, actor: Actor, now: dt.datetime) -> None:
    """Raises ValidationError for a key that works no more, or that would let a token do what the actor may not."""
    if key.state(now) in ("revoked", "expired"):
        raise ValidationError({"key": f"This key is {key.state(now)}; choose one that works."})
    try:
        refuse_more_than_own(key, actor)
    except ValidationError as refused:
        raise ValidationError({"key": refused.messages}) from None
