"""When nobody is to be told: silences are made with an end, and can be ended early."""

from __future__ import annotations

import datetime as dt

from django.core.exceptions import ValidationError
from django.db import transaction

from telemetry.models import AlertNotification, AlertSilence
from telemetry.recorder import Actor, Subject, record_event

LONGEST = dt.timedelta(days=30)


def silence_problems(silence: AlertSilence, now: dt.datetime) -> dict[str, str]:
    if silence.ends_at <= max(silence.starts_at, now):
        return {"ends_at": "A silence ends after it begins, and not in the past."}
    if silence.ends_at - silence.starts_at > LONGEST:
        return {"ends_at": "At most 30 days. What is to be silent for longer, switch off at its rule."}
    return {}


def create_silence(silence: AlertSilence, actor: Actor, now: dt.datetime) -> AlertSilence:
    """Nobody is told of what it fits until it ends; states go on."""
    if problems := silence_problems(silence, now):
        raise ValidationError(problems)
    silence.created_by = actor.name
    with transaction.atomic():
        silence.full_clean()
        silence.save(force_insert=True)
        record_event("silence.created", actor, _subject(silence), data=_told(silence))
    return silence


def end_silence(silence: AlertSilence, actor: Actor, now: dt.datetime) -> bool:
    """It is over: what it held back of alerts that still fire is told. False where it was over already."""
    with transaction.atomic():
        locked = AlertSilence.objects.select_for_update().filter(pk=silence.pk, ends_at__gt=now).first()
        if locked is None:
            return False
        # One that has not begun ends before it does.
        locked.starts_at = min(locked.starts_at, now - dt.timedelta(microseconds=1))
        locked.ends_at = now
        locked.save(update_fields=["starts_at", "ends_at"])
        held = AlertNotification.objects.waiting().filter(silenced_by=silence).update(next_attempt_at=now)
        record_event("silence.ended", actor, _subject(silence), data={"held_back": held})
    return True


def _told(silence: AlertSilence) -> dict[str, str]:
    named = {name: getattr(silence, name) for name in silence.MATCHERS if getattr(silence, name)}
    times = {"from": silence.starts_at.isoformat(), "to": silence.ends_at.isoformat()}
    return {"rule": silence.rule.name if silence.rule else "any", **named, **times, "why": silence.why}


def _subject(silence: AlertSilence) -> Subject:
    return Subject("silence", str(silence.pk), str(silence))
