"""One trace on one page: its spans as a waterfall, what they came to, and its audit events beside."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Count, Max, Min, Q, Sum, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from telemetry.admin.audit import LABELS as EVENT_LABELS
from telemetry.admin.audit import TRACE_ID, records_of
from telemetry.models import AuditEvent, Span
from telemetry.waterfall import Line, lines
from telemetry.wording import seen

MOST_SPANS = 500
MOST_EVENTS = 100
TONES = {"ok": "good", "held": "wait", "replayed": "wait", "dry_run": "wait"}


@require_safe
def trace_page(request: HttpRequest, trace_id: str, site: AdminSite) -> HttpResponse:
    if not request.user.has_perm("telemetry.view_span"):
        raise PermissionDenied
    if not TRACE_ID.fullmatch(trace_id):
        raise Http404
    spans = Span.objects.filter(trace_id=trace_id)
    whole = spans.order_by().aggregate(
        spans=Count("pk"),
        calls=Count("pk", filter=Q(kind__in=[Span.Kind.TOOL_CALL, Span.Kind.MODEL_CALL])),
        begins=Min("start_time"),
        ends=Max("end_time"),
        cost=Sum("cost_usd"),
        tokens_in=Sum("prompt_tokens"),
        tokens_out=Sum("completion_tokens"),
    )
    # Our own first: whoever reports spans into a trace can't push out of sight what was decided here.
    is_reported = Case(When(origin=Span.Origin.PIPELINE, then=Value(0)), default=Value(1))
    shown = list(spans.order_by(is_reported, "start_time")[:MOST_SPANS])
    context = site.each_context(request) | {
        "title": f"Trace {trace_id[:8]}…",
        "trace_id": trace_id,
        "whole": whole,
        "took_ms": (whole["ends"] - whole["begins"]).total_seconds() * 1000 if shown else None,
        "left_out": whole["spans"] - len(shown),
        "lines": [_shown(line) for line in lines(shown)],
        "span_list": records_of("span", trace_id),
        "events": _events(trace_id) if request.user.has_perm("telemetry.view_auditevent") else None,
        "event_list": records_of("auditevent", trace_id),
    }
    return TemplateResponse(request, "telemetry/trace.html", context)


def _shown(line: Line) -> dict[str, Any]:
    span = line.span
    denied = span.decision.startswith("denied") or span.decision == "error" or bool(span.error_type)
    return {
        "line": line,
        "name": seen(span.name or span.tool_name or span.model or span.get_kind_display(), 64),
        "kind": span.get_kind_display(),
        "service": seen(span.service, 40),
        "agent": seen(span.agent, 40),
        "tone": "bad" if denied else TONES.get(span.decision, "plain"),
        "outcome": seen(" · ".join(dict.fromkeys(filter(None, (span.decision, span.reason or span.error_type)))), 60),
        "took_ms": span.duration_ms,
        "stages": ", ".join(f"{one.name} {one.microseconds / 1000:,.2f} ms" for one in line.segments),
        "address": reverse("admin:telemetry_span_change", args=[span.pk]),
    }


def _events(trace_id: str) -> list[dict[str, Any]]:
    rows = AuditEvent.objects.filter(trace_id=trace_id).order_by("id")[:MOST_EVENTS]
    return [
        {
            "at": row.occurred_at,
            "type": row.type,
            "tone": EVENT_LABELS.get(row.type, ""),
            "who": seen(row.actor, 40),
            "outcome": seen(" · ".join(part for part in (row.decision, row.reason) if part), 60),
            "address": reverse("admin:telemetry_auditevent_change", args=[row.pk]),
        }
        for row in rows
    ]
