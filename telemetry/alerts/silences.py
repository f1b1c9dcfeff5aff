"""Whether nobody is to be told of an alert now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from telemetry.models import AlertInstance, AlertSilence


def silence_of(instance: AlertInstance, now: dt.datetime) -> AlertSilence | None:
    """Of the silences in force that fit the alert, the one that ends last."""
    in_force = AlertSilence.objects.in_force(now).order_by("-ends_at")
    return next((silence for silence in in_force if silence.fits(instance)), None)


def silenced(instances: Iterable[AlertInstance], now: dt.datetime) -> set[int]:
    """Of these alerts, the ids of those that nobody is told of now."""
    in_force = list(AlertSilence.objects.in_force(now))
    return {instance.pk for instance in instances if any(silence.fits(instance) for silence in in_force)}
