"""What approvals can count for alerts and Prometheus."""

from collections.abc import Iterable

from django.db.models import Count

from approvals.models import PendingAction
from approvals.states import Status
from telemetry.metrics.gauges import Reading, register_gauge


def register() -> None:
    register_gauge("pending_actions_waiting", "Pending actions that wait for a person", waiting)
    register_gauge("unknown_outcomes", "Pending actions of which nobody knows whether they ran", unknown)


def waiting() -> Iterable[Reading]:
    return _by_tool_and_agent(Status.PENDING)


def unknown() -> Iterable[Reading]:
    return _by_tool_and_agent(Status.UNKNOWN)


def _by_tool_and_agent(status: Status) -> Iterable[Reading]:
    rows = PendingAction.objects.filter(status=status).order_by().values_list("tool__name", "agent__name")
    for tool, agent, number in rows.annotate(number=Count("pk")):
        yield Reading(number, {"tool_name": tool, "agent": agent})
