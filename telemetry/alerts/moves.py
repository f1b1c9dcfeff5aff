"""The only writer of alerts: what step() decided, by compare-and-swap, with its transition and its messages."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping

from django.db import connection, transaction
from django.db.models import F

from telemetry.alerts.messages import message_of
from telemetry.alerts.step import Standing, Step, Terms, end
from telemetry.canonical import canonical_bytes
from telemetry.models import (
    AlertChannel,
    AlertInstance,
    AlertNotification,
    AlertRule,
    AlertState,
    AlertTransition,
)

Kind = AlertNotification.Kind
# A message that has not arrived by then is old news.
TRIED_FOR = dt.timedelta(hours=24)
_AS_IT_WAS = "SELECT 1 FROM telemetry_alertrule WHERE id = %s AND revision = %s AND enabled = %s FOR SHARE SKIP LOCKED"
CHANGED, SWITCHED_OFF = "The rule was changed.", "The rule was switched off."


def dedupe_key(rule_id: int, labels: Mapping[str, str]) -> str:
    """Names one alert for good, here and at whoever is told."""
    return hashlib.sha256(canonical_bytes({"rule": rule_id, "labels": dict(labels)})).hexdigest()


def terms_of(rule: AlertRule) -> Terms:
    return Terms(rule.for_s, rule.keep_firing_s, rule.repeat_s, rule.no_data)


def standing_of(instance: AlertInstance) -> Standing:
    return Standing(
        key=instance.dedupe_key,
        state=AlertState(instance.state),
        since=instance.since,
        episode=instance.episode,
        started_at=instance.started_at,
        last_true_at=instance.last_true_at,
        told_at=instance.told_at,
        value=instance.value,
        samples=instance.samples,
        evaluated_at=instance.evaluated_at,
    )


def keep(rule: AlertRule, instance: AlertInstance, taken: Step, now: dt.datetime) -> bool:
    """The alert stands where step() says, with its transition and messages; False where another worker was first, or
    an operator changed the rule or switched it off since it was read.

    Locks: the rule's row, FOR SHARE, so that a change waits; one that is under way is not waited for, but for the next
    look at the rule.
    """
    before, after = standing_of(instance), taken.standing
    is_quiet = taken.transition is None and after.state in (AlertState.INACTIVE, AlertState.RESOLVED)
    if after == before or is_quiet:
        return True
    with transaction.atomic():
        if not _is_asked_still(rule):
            return False
        version = instance.version + 1
        changed = AlertInstance.objects.filter(pk=instance.pk, version=instance.version).update(
            **_columns(after), version=F("version") + 1, revision=rule.revision
        )
        if not changed:
            return False
        if taken.transition is not None:
            _record(rule, instance, taken)
        if taken.tells is not None:
            why = taken.transition.why if taken.transition else ""
            _queue(rule, instance, taken, version, why, now)
    return True


def _is_asked_still(rule: AlertRule) -> bool:
    """The rule asks what it asked when it was read, and goes on to while the running transaction lasts."""
    with connection.cursor() as cursor:
        cursor.execute(_AS_IT_WAS, [rule.pk, rule.revision, rule.enabled])
        return cursor.fetchone() is not None


def _columns(standing: Standing) -> dict[str, object]:
    return {
        "state": standing.state,
        "since": standing.since,
        "episode": standing.episode,
        "started_at": standing.started_at,
        "last_true_at": standing.last_true_at,
        "told_at": standing.told_at,
        "value": standing.value,
        "samples": standing.samples,
        "evaluated_at": standing.evaluated_at,
    }


def _record(rule: AlertRule, instance: AlertInstance, taken: Step) -> None:
    moved, standing = taken.transition, taken.standing
    assert moved is not None
    AlertTransition(
        instance=instance,
        rule_name=rule.name,
        labels=instance.labels,
        episode=moved.episode,
        was=moved.was,
        became=moved.became,
        at=moved.at,
        value=standing.value,
        threshold=rule.threshold,
        samples=standing.samples,
        why=moved.why,
    ).save(force_insert=True)


def _queue(rule: AlertRule, instance: AlertInstance, taken: Step, version: int, why: str, now: dt.datetime) -> None:
    standing, kind = taken.standing, taken.tells
    assert standing.episode is not None
    assert kind is not None
    message = message_of(rule, instance, standing, why)
    AlertNotification.objects.bulk_create(
        AlertNotification(
            instance=instance,
            channel=channel,
            kind=kind,
            episode=standing.episode,
            version=version,
            message=message,
            next_attempt_at=now,
            give_up_at=now + TRIED_FOR,
            created_at=now,
        )
        for channel in _whom(rule, instance, standing, kind)
    )


def _whom(rule: AlertRule, instance: AlertInstance, standing: Standing, kind: Kind) -> Iterable[AlertChannel]:
    """The rule's channels; of the end of an episode whoever was told of it, also where the rule names others by now."""
    if kind == Kind.REPEAT:
        return [channel for channel in rule.channels.all() if channel.enabled]
    assert standing.episode is not None
    told = AlertNotification.objects.filter(instance=instance, episode=standing.episode).values("channel")
    if kind == Kind.RESOLVED:
        return AlertChannel.objects.filter(pk__in=told)
    return rule.channels.filter(enabled=True).exclude(pk__in=told)


def tell_newly_named(rule: AlertRule, now: dt.datetime) -> None:
    """Channels that the rule names only since now hear at once of what fires by it. Nobody hears of an episode twice.

    Locks: the caller has the rule's row, so that no worker moves its alerts meanwhile.
    """
    firing = AlertInstance.objects.filter(rule=rule, state=AlertState.FIRING, revision=rule.revision)
    for instance in firing.order_by("pk") if rule.enabled else ():
        fires = Step(standing_of(instance), tells=Kind.FIRING)
        if _whom(rule, instance, fires.standing, Kind.FIRING):
            AlertInstance.objects.filter(pk=instance.pk).update(version=F("version") + 1)
            _queue(rule, instance, fires, instance.version + 1, "", now)


def end_changed(now: dt.datetime) -> int:
    """What fires or may soon by a rule that is off or was changed since is over, and is told so; how many were."""
    open_ones = AlertInstance.objects.open().select_related("rule").order_by("pk")
    stale = open_ones.exclude(rule__enabled=True, revision=F("rule__revision"))
    return sum(
        keep(
            instance.rule,
            instance,
            end(standing_of(instance), now, CHANGED if instance.rule.enabled else SWITCHED_OFF),
            now,
        )
        for instance in stale
    )
