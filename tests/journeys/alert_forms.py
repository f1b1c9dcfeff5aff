"""What operators type into the forms of alerts, and the figures that they type it about."""

import datetime as dt
from typing import Any

from telemetry.clock import database_now
from telemetry.metrics.rollups import MINUTE
from telemetry.models import AuditEvent
from tests.telemetry.alerts.figures import calls, summed_up_to

RULES = "/admin/telemetry/alertrule/"
ALERTS = "/admin/telemetry/alertinstance/"
CHANNELS = "/admin/telemetry/alertchannel/"
SILENCES = "/admin/telemetry/alertsilence/"

RULE = {
    "name": "Tickets fail",
    "enabled": "on",
    "metric": "error_rate",
    "comparison": "above",
    "threshold": "0.1",
    "window_s": "60",
    "service": "",
    "model": "",
    "tool_name": "",
    "agent": "",
    "group_by": ["tool_name"],
    "for_s": "0",
    "keep_firing_s": "0",
    "min_samples": "1",
    "no_data": "keep",
    "severity": "critical",
    "repeat_s": "0",
    "description": "Look at the ticket system.",
}
CHANNEL = {"name": "automation", "kind": "webhook", "enabled": "on", "recipients": "", "url": "", "secret": ""}


def this_minute() -> dt.datetime:
    return database_now().replace(second=0, microsecond=0)


def failing_since(minutes: int, **labels: Any) -> dt.datetime:
    """Calls of these minutes failed, and are summed up to the minute that is answered."""
    now = this_minute()
    for back in range(minutes, 0, -1):
        calls(now - back * MINUTE, ok=8, failed=2, **labels)
    summed_up_to(now)
    return now


def silence_for(hours: float, **fields: str) -> dict[str, str]:
    """The form of a silence from now on."""
    begins = database_now()
    ends = begins + dt.timedelta(hours=hours)
    blank = {"rule": "", "service": "", "model": "", "tool_name": "", "agent": "", "why": "a test"}
    times = {
        f"{name}_{n}": f"{at:{form}}"
        for name, at in (("starts_at", begins), ("ends_at", ends))
        for n, form in enumerate(("%Y-%m-%d", "%H:%M:%S"))
    }
    return blank | times | fields


def errors_of(page: Any) -> dict[str, list[str]]:
    return {name: list(found) for name, found in page.context["adminform"].form.errors.items()}


def events(family: str) -> list[str]:
    """Types of a family's audit events, in order."""
    return list(AuditEvent.objects.filter(type__startswith=family).order_by("pk").values_list("type", flat=True))
