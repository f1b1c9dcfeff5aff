"""What the first page says of agents' sessions: which run, and which of the last day deserve a look."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.http import urlencode

from telemetry.models import Session

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Sessions:
    """Counts, each with the list of what it counts. All but `open` are of sessions that began since a day ago."""

    open: int
    violated: int
    refused: int
    stopped: int
    pages: dict[str, str]


def sessions_of_the_day(user: Any, now: dt.datetime) -> Sessions | None:
    """One query; None for those who may not see sessions."""
    if not user.has_perm("telemetry.view_session"):
        return None
    since = Q(created_at__gte=now - DAY)
    is_open = Q(status=Session.Status.OPEN)
    found = (
        Session.objects.filter(since | is_open)
        .order_by()
        .aggregate(
            open=Count("pk", filter=is_open),
            violated=Count("pk", filter=since & Q(total_violations__gt=0)),
            refused=Count("pk", filter=Q(status=Session.Status.REFUSED)),
            stopped=Count("pk", filter=Q(status=Session.Status.STOPPED)),
        )
    )
    return Sessions(**found, pages=_pages(now - DAY))


def _pages(begins: dt.datetime) -> dict[str, str]:
    begins = begins.astimezone(dt.UTC)
    since = {"created_at_from_0": f"{begins:%Y-%m-%d}", "created_at_from_1": f"{begins:%H:%M:%S}"}
    asked: dict[str, dict[str, str]] = {
        "open": {"status__exact": Session.Status.OPEN.value},
        "violated": {"violations": "yes"} | since,
        "refused": {"status__exact": Session.Status.REFUSED.value} | since,
        "stopped": {"status__exact": Session.Status.STOPPED.value} | since,
    }
    listed = reverse("admin:telemetry_session_changelist")
    return {name: f"{listed}?{urlencode(words)}" for name, words in asked.items()}
