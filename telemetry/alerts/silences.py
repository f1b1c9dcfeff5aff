"""Whether nobody is to be told of an alert now."""

from __future__ import annotations

import datetime as dt

from telemetry.models import AlertInstance, AlertSilence


def silence_of(instance: AlertInstance, now: dt.datetime) -> AlertSilence | None:
    """Of the silences in force that fit the alert, the one that ends last."""
    in_force = AlertSilence.objects.in_force(now).order_by("-ends_at")
    return next((silence for silence in in_force if silence.fits(instance)), None)
