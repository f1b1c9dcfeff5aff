"""Figures for alerts to look at: rollups as a minute's spans would make them, and a watermark."""

import datetime as dt

from telemetry.metrics.rollups import MINUTE
from telemetry.models import AlertRule, MinuteRollup, RollupWatermark

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def minute(number):
    return NOON + number * MINUTE


def calls(at, *, ok=0, failed=0, tool="create_ticket", service="observatory"):
    """The minute that begins at `at` had so many calls."""
    for decision, number in (("ok", ok), ("error", failed)):
        if number:
            MinuteRollup.objects.create(
                at=at,
                origin="pipeline",
                kind="tool_call",
                service=service,
                tool_name=tool,
                decision=decision,
                calls=number,
                first_at=at,
            )


def summed_up_to(at):
    RollupWatermark.objects.update_or_create(pk=1, defaults={"at": at})


def error_rule(**fields):
    """More than one call of ten fails, in a minute."""
    given = {
        "name": "Errors",
        "metric": "error_rate",
        "threshold": 0.10,
        "window_s": 60,
        "min_samples": 1,
        "keep_firing_s": 0,
        "repeat_s": 0,
    }
    return AlertRule.objects.create(**given | fields)
