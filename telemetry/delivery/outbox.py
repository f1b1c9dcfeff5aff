"""Messages that wait: claimed by one worker under a lease, and what became of them.

The lease is recorded before anything is sent. A worker that dies before it sent loses nothing: the lease ends and
another sends. One that dies between sending and recording has it sent again, under the same id, so that the receiver
can tell. Of one alert and one channel, messages go in order; nobody hears that something is over who did not hear that
it fired.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from telemetry.alerts.moves import TRIED_FOR
from telemetry.alerts.silences import silence_of
from telemetry.delivery.channels import address_of
from telemetry.delivery.letter import Address, Kind, Letter, NotSent
from telemetry.models import AlertChannel, AlertNotification, AlertState

# Longer than any attempt takes: an HTTP request 10 s, a conversation with a mail server a few times that.
LEASE = dt.timedelta(seconds=90)
MOST_ATTEMPTS = 30
_FIRST_DELAY_S, _LONGEST_DELAY_S = 10.0, 3_600.0

UNHEARD = "Nobody was told that it fired, so nobody is told that it is over."
OVER_IN_SILENCE = "It was over before the silence was."
OUTDATED = "Something newer is to be told."
SWITCHED_OFF = "The channel is off."
TOO_LATE = "It did not arrive in time."


@dataclass(frozen=True, slots=True)
class Claim:
    """One message that this worker alone sends now."""

    notification_id: uuid.UUID
    channel_id: int
    attempt: int
    leased_until: dt.datetime
    address: Address
    letter: Letter


def claim_channel(now: dt.datetime, but: Collection[int] = ()) -> AlertChannel | None:
    """A channel with something due, which nobody else sends through until the lease ends; None where there is none."""
    due = AlertNotification.objects.due(now).filter(channel=OuterRef("pk"))
    with transaction.atomic():
        channel = (
            AlertChannel.objects.filter(Q(not_before=None) | Q(not_before__lte=now), Exists(due))
            .exclude(pk__in=but)
            .select_for_update(skip_locked=True)
            .order_by(F("not_before").asc(nulls_first=True), "pk")
            .first()
        )
        if channel is not None:
            hold(channel, now + LEASE)
    return channel


def hold(channel: AlertChannel, until: dt.datetime) -> None:
    channel.not_before = until
    channel.save(update_fields=["not_before"])


def let_go(channel: AlertChannel) -> None:
    """Others may send through it again, unless it is left in peace for a while after a failure."""
    AlertChannel.objects.filter(pk=channel.pk, not_before=channel.not_before).update(not_before=None)


def claim_next(channel: AlertChannel, now: dt.datetime) -> Claim | None:
    """The channel's next message, under a lease; what is not to be sent any more is put aside on the way."""
    while True:
        with transaction.atomic():
            notification = (
                AlertNotification.objects.due(now)
                .filter(channel=channel)
                .select_for_update(of=("self",), skip_locked=True)
                .select_related("instance")
                .order_by("next_attempt_at", "version")
                .first()
            )
            if notification is None:
                return None
            claim = _claimed(notification, channel, now)
        if claim is not None:
            return claim


def _claimed(notification: AlertNotification, channel: AlertChannel, now: dt.datetime) -> Claim | None:
    """None where it is not to be sent now, or not at all; the row says why."""
    if why := _why_not(notification, channel, now):
        _put_aside(notification, why)
        return None
    if silence := silence_of(notification.instance, now):
        notification.silenced_by = silence
        notification.next_attempt_at = silence.ends_at
        notification.give_up_at = silence.ends_at + TRIED_FOR
        notification.save(update_fields=["silenced_by", "next_attempt_at", "give_up_at"])
        return None
    try:
        address = address_of(channel, now)
    except NotSent as problem:
        _put_aside(notification, problem.detail)
        _note_failure(channel.pk, problem.detail, now)
        return None
    notification.attempts += 1
    notification.next_attempt_at = now + LEASE
    notification.save(update_fields=["attempts", "next_attempt_at"])
    letter = Letter(str(notification.pk), notification.kind, _thread(notification), notification.message, now)
    return Claim(notification.pk, channel.pk, notification.attempts, now + LEASE, address, letter)


def _thread(notification: AlertNotification) -> str:
    """One name for everything that is told of one episode: the alert's and the episode's."""
    return f"{notification.instance.dedupe_key}.{notification.episode.hex}"


def _why_not(notification: AlertNotification, channel: AlertChannel, now: dt.datetime) -> str:
    if not channel.enabled:
        return SWITCHED_OFF
    if now >= notification.give_up_at:
        return notification.last_error or TOO_LATE
    instance, kind = notification.instance, notification.kind
    same = AlertNotification.objects.filter(
        instance=instance, channel=channel, episode=notification.episode, version__lt=notification.version
    )
    if kind == Kind.RESOLVED:
        return "" if same.filter(sent_at__isnull=False).exists() else UNHEARD
    goes_on = instance.state == AlertState.FIRING and instance.episode == notification.episode
    if kind == Kind.FIRING:
        # What fired is told even late; not what came and went while nobody was to be told.
        return OVER_IN_SILENCE if notification.silenced_by_id and not goes_on else ""
    newer = AlertNotification.objects.waiting().filter(
        instance=instance, channel=channel, version__gt=notification.version
    )
    return OUTDATED if not goes_on or newer.exists() else ""


def _put_aside(notification: AlertNotification, why: str) -> None:
    notification.next_attempt_at = None
    notification.last_error = why[:300]
    notification.save(update_fields=["next_attempt_at", "last_error"])


def record_sent(claim: Claim, now: dt.datetime) -> None:
    """It has arrived, whoever else may be at it; the channel is well."""
    with transaction.atomic():
        AlertNotification.objects.filter(pk=claim.notification_id, sent_at=None).update(
            sent_at=now, next_attempt_at=None, last_error=""
        )
        AlertChannel.objects.filter(pk=claim.channel_id).update(last_sent_at=now, failures=0)


def record_failed(claim: Claim, problem: NotSent, now: dt.datetime, jitter: Callable[[], float]) -> dt.datetime | None:
    """It is tried again later, and the channel left in peace until then, or it is given up (None). Says when."""
    with transaction.atomic():
        mine = AlertNotification.objects.select_for_update().filter(
            pk=claim.notification_id, attempts=claim.attempt, sent_at=None
        )
        notification = mine.first()
        if notification is None:
            return None
        _note_failure(claim.channel_id, problem.detail, now)
        again_at = now + delay(claim.attempt, problem.after_s, jitter) if problem.again else None
        is_over = again_at is None or claim.attempt >= MOST_ATTEMPTS or again_at >= notification.give_up_at
        notification.next_attempt_at = None if is_over else again_at
        notification.last_error = problem.detail[:300]
        notification.save(update_fields=["next_attempt_at", "last_error"])
        if problem.again:
            failures = AlertChannel.objects.values_list("failures", flat=True).get(pk=claim.channel_id)
            rest = delay(failures, problem.after_s, jitter)
            AlertChannel.objects.filter(pk=claim.channel_id).update(not_before=now + rest)
        return None if is_over else again_at


def _note_failure(channel_id: int, detail: str, now: dt.datetime) -> None:
    AlertChannel.objects.filter(pk=channel_id).update(
        last_error=detail[:300], last_failed_at=now, failures=F("failures") + 1
    )


def delay(failures: int, after_s: float | None, jitter: Callable[[], float]) -> dt.timedelta:
    """Twice as long after each failure, up to an hour, somewhere in its second half; no sooner than was asked for,
    within that hour. `jitter`: from 0 to 1."""
    whole = min(_FIRST_DELAY_S * 2 ** min(max(failures, 1) - 1, 16), _LONGEST_DELAY_S)
    seconds = whole * (0.5 + jitter() / 2)
    return dt.timedelta(seconds=max(seconds, min(after_s or 0.0, _LONGEST_DELAY_S)))
