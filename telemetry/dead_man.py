"""A sign of life to somebody outside, given only while the sweeps really progress: who hears none, tells people.

Nothing inside an installation can tell that all of it is down.
"""

import datetime as dt

from django.conf import settings
from django.db.models import F

from telemetry.alerts.evaluation import HEARTBEAT as EVALUATION
from telemetry.egress import EgressError, request
from telemetry.metrics.rollups import watermark
from telemetry.models import Heartbeat
from telemetry.visible import visible

NAME = "dead-man"
BEAT = "beat"
# Six missed beats: then beat, the broker or the workers are down.
BEAT_STALE = dt.timedelta(seconds=90)
SWEEPS_STALE = dt.timedelta(minutes=5)
TIMEOUT_S = 10.0


def standing_still(now: dt.datetime) -> str:
    """Which sweep does not progress, in words; nothing where all do."""
    seen = dict(Heartbeat.objects.filter(name__in=[BEAT, EVALUATION]).values_list("name", "at"))
    mark = watermark()
    parts = (
        ("Beat", seen.get(BEAT), BEAT_STALE),
        ("The sums of spans", mark, SWEEPS_STALE),
        ("The evaluation of alerts", seen.get(EVALUATION), SWEEPS_STALE),
    )
    still = [name for name, at, longest in parts if at is None or now - at > longest]
    return f"{', '.join(still)}: no progress." if still else ""


def give_sign(now: dt.datetime) -> bool:
    """Whether the sign was given. What stood in its way is noted and never raised; nothing is tried without a URL."""
    if not settings.HEARTBEAT_URL:
        return False
    problem = standing_still(now) or _call(settings.HEARTBEAT_URL)
    row, _ = Heartbeat.objects.get_or_create(name=NAME, defaults={"at": now})
    if problem:
        Heartbeat.objects.filter(pk=row.pk).update(failures=F("failures") + 1, error=visible(problem)[:300])
    else:
        Heartbeat.objects.filter(pk=row.pk).update(at=now, error="")
    return not problem


def _call(url: str) -> str:
    """What went wrong, or nothing. The address is a secret of whoever watches, so no word of it is kept."""
    try:
        answer = request("GET", url, timeout_s=TIMEOUT_S)
    except EgressError as error:
        return error.detail
    return "" if 200 <= answer.status < 300 else f"The watcher answered {answer.status}."
