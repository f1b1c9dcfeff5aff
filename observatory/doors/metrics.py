"""`GET /telemetry/metrics`: the figures of a window as JSON. `GET /metrics`: sums and states for Prometheus."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone
from prometheus_client import exposition, openmetrics
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.doors import openapi_metrics
from observatory.doors.parameters import number, refuse_unknown, text
from observatory.doors.problem import Refusal
from observatory.doors.renderers import OpenMetricsRenderer, PrometheusRenderer
from observatory.version import VERSION
from telemetry.labels import label
from telemetry.metrics.exposition import Exposition
from telemetry.metrics.late_spans import whole_minute
from telemetry.metrics.rollups import HOURS_KEPT, watermark
from telemetry.metrics.snapshot import GroupFigures, snapshot
from telemetry.metrics.totals import Question, busiest
from tools.scopes import Scope

# As the address says it, and as rollups do.
COLUMNS = {"service": "service", "model": "model", "tool": "tool_name", "agent": "agent", "origin": "origin"}
WINDOW_S, MOST_S = 3_600, int(HOURS_KEPT.total_seconds())
MOST_GROUPS = 1_000
# With the version of the format, which negotiation does not look at.
CONTENT_TYPES = {
    PrometheusRenderer.media_type: exposition.CONTENT_TYPE_PLAIN_0_0_4,
    OpenMetricsRenderer.media_type: openmetrics.exposition.CONTENT_TYPE_LATEST,
}


class FiguresView(APIView):
    scope = Scope.TELEMETRY_READ

    @openapi_metrics.figures
    def get(self, request: Request) -> Response:
        given = request.query_params
        refuse_unknown(given, {*COLUMNS, "window", "group_by"})
        mark = watermark()
        question = _question(given, mark or whole_minute(timezone.now()))
        narrowed, left_out = busiest(question, MOST_GROUPS)
        groups = snapshot(narrowed)
        return Response(
            {
                "window": {"from": question.begins, "to": question.ends},
                "watermark": mark,
                "groups": [_group(group) for group in groups],
                "groups_left_out": left_out,
            }
        )


def _question(given: Any, ends: dt.datetime) -> Question:
    window_s = number(given.get("window", str(WINDOW_S)), MOST_S)
    if window_s < 60 or window_s % 60:
        raise Refusal("invalid_parameter", "The window is whole minutes, in seconds: 60 or more.")
    filters = {column: text(given[name]) for name, column in COLUMNS.items() if name in given}
    group_by = [name for name in given.get("group_by", "").split(",") if name]
    if not set(group_by) <= set(COLUMNS) or len(set(group_by)) < len(group_by):
        raise Refusal("invalid_parameter", f"group_by names, once each and with commas: {', '.join(COLUMNS)}.")
    begins = ends - dt.timedelta(seconds=window_s)
    return Question(begins, ends, filters, [COLUMNS[name] for name in group_by])


def _group(group: GroupFigures) -> dict[str, Any]:
    names = {column: name for name, column in COLUMNS.items()}
    labels = {names[column]: label(value) for column, value in group.labels.items()}
    return {"labels": labels, "metrics": group.metrics, "samples": group.samples}


class PrometheusView(APIView):
    """Text of Prometheus' format 0.0.4, or OpenMetrics for those that accept it."""

    scope = Scope.HEALTH_READ
    renderer_classes = (PrometheusRenderer, OpenMetricsRenderer)

    def get_renderers(self) -> list[BaseRenderer]:
        """OpenMetrics for whoever names it, as Prometheus does beside the older text."""
        accepted = self.request.META.get("HTTP_ACCEPT", "") if hasattr(self, "request") else ""
        renderers: list[BaseRenderer] = super().get_renderers()
        return renderers[::-1] if OpenMetricsRenderer.media_type in accepted else renderers

    @openapi_metrics.prometheus
    def get(self, request: Request) -> Response:
        content_type = CONTENT_TYPES[request.accepted_renderer.media_type]
        return Response(Exposition(timezone.now(), VERSION), content_type=content_type)
