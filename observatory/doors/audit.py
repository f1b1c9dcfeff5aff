"""`GET /audit/events`: the audit trail as JSON lines, streamed in the order it was written."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.views import APIView

from observatory.doors import openapi
from observatory.doors.parameters import number, refuse_unknown, text
from observatory.doors.problem import Refusal
from observatory.doors.renderers import JSONLinesRenderer
from telemetry.connections import release_connection
from telemetry.event_types import EVENT_TYPES
from telemetry.models import AuditEvent
from telemetry.trail import line
from tools.scopes import Scope

EQUAL_FILTERS = {
    "type": "type",
    "actor": "actor",
    "subject": "subject",
    "subject_id": "subject_id",
    "trace_id": "trace_id",
}
FILTERS = frozenset({*EQUAL_FILTERS, "from", "to", "after", "limit"})
MOST = 100_000
CHUNK = 500


class AuditEventsView(APIView):
    scope = Scope.AUDIT_READ
    renderer_classes = (JSONLinesRenderer,)

    @openapi.audit_events
    def get(self, request: Request) -> StreamingHttpResponse:
        rows, limit = _filtered(request)
        return StreamingHttpResponse(_lines(rows, limit), content_type="application/x-ndjson")


def _filtered(request: Request) -> tuple[Any, int]:
    given = request.query_params
    refuse_unknown(given, FILTERS)
    rows = AuditEvent.objects.order_by("id")
    for name, column in EQUAL_FILTERS.items():
        if name in given:
            rows = rows.filter(**{column: text(given[name])})
    if "type" in given and given["type"] not in EVENT_TYPES:
        raise Refusal("invalid_parameter", "There is no such event type.")
    if "from" in given:
        rows = rows.filter(occurred_at__gte=_moment(given["from"]))
    if "to" in given:
        rows = rows.filter(occurred_at__lt=_moment(given["to"]))
    if "after" in given:
        rows = rows.filter(id__gt=number(given["after"], 2**63 - 1))
    return rows, number(given.get("limit", str(MOST)), MOST)


def _moment(value: str) -> Any:
    try:
        moment = parse_datetime(value)
    except ValueError:
        moment = None
    if moment is None:
        raise Refusal("invalid_parameter", "Send times as 2026-11-21T14:00:00Z.")
    try:
        # In UTC: PostgreSQL knows fewer offsets than Python.
        return (moment if timezone.is_aware(moment) else timezone.make_aware(moment)).astimezone(dt.UTC)
    except OverflowError:
        raise Refusal("invalid_parameter", "The time is out of range.") from None


def _lines(rows: Any, limit: int) -> Iterator[bytes]:
    """Pages by id, so that no query or connection stays open while a slow reader reads."""
    last, left = 0, limit
    while left > 0:
        page = list(rows.filter(id__gt=last)[: min(CHUNK, left)])
        if not page:
            return
        release_connection()
        yield b"".join(line(event.as_line()) for event in page)
        last, left = page[-1].pk, left - len(page)
