"""How the doors to figures are described in /api/schema/."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

from observatory.doors.openapi import EVERY_KEYED, example, problems
from telemetry.metrics.snapshot import ALL

_FIGURES = inline_serializer("Figures", {metric.name: serializers.FloatField(allow_null=True) for metric in ALL})
_GROUP = inline_serializer(
    "GroupFigures",
    {
        "labels": serializers.DictField(child=serializers.CharField(allow_blank=True)),
        "metrics": inline_serializer(
            "Figures", {metric.name: serializers.FloatField(allow_null=True) for metric in ALL}
        ),
        "samples": serializers.IntegerField(help_text="Calls that the figures are made of."),
    },
    many=True,
)
_WINDOW = inline_serializer("Window", {"from": serializers.DateTimeField(), "to": serializers.DateTimeField()})

figures = extend_schema(
    operation_id="telemetry_metrics",
    summary="The figures of a window of time, by group",
    description="Windows end at the watermark: up to there spans are summed up. The page on figures says more.",
    parameters=[
        OpenApiParameter("window", int, description="Seconds, whole minutes: 60 to 34560000. 3600 unless given."),
        OpenApiParameter("service", str, description="Only this service; likewise model, tool, agent, origin."),
        OpenApiParameter("model", str),
        OpenApiParameter("tool", str),
        OpenApiParameter("agent", str),
        OpenApiParameter("origin", str, description="pipeline, sdk or otlp."),
        OpenApiParameter("group_by", str, description="Of service, model, tool, agent, origin; several with commas."),
    ],
    responses={
        200: inline_serializer(
            "MetricsAnswer",
            {
                "window": _WINDOW,
                "watermark": serializers.DateTimeField(allow_null=True, help_text="null before the first minute."),
                "groups": _GROUP,
                "groups_left_out": serializers.IntegerField(help_text="Beyond the 1,000 busiest."),
            },
        ),
        **problems(400, *EVERY_KEYED),
    },
    examples=[
        example(
            "by tool",
            {
                "window": {"from": "2026-11-21T13:00:00Z", "to": "2026-11-21T14:00:00Z"},
                "watermark": "2026-11-21T14:00:00Z",
                "groups": [
                    {
                        "labels": {"tool": "search_customer"},
                        "metrics": {metric.name: None for metric in ALL}
                        | {"total_calls": 120.0, "fallback_rate": 0.0, "denied_rate": 0.05, "duration_p95": 0.183},
                        "samples": 120,
                    }
                ],
                "groups_left_out": 0,
            },
            response_only=True,
            status_codes=["200"],
        )
    ],
)

prometheus = extend_schema(
    operation_id="prometheus",
    summary="For Prometheus: sums of this month and how things stand",
    responses={
        (200, "text/plain"): OpenApiResponse(OpenApiTypes.STR, description="Prometheus' text format 0.0.4."),
        (200, "application/openmetrics-text"): OpenApiResponse(OpenApiTypes.STR, description="OpenMetrics 1.0."),
        **problems(*EVERY_KEYED),
    },
)
