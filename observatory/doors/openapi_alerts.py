"""The OpenAPI description of the door for alerts, with its example."""

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers

from observatory.doors.openapi import EVERY_KEYED, example, problems
from telemetry.models import AlertRule

_EXAMPLE = {
    "as_of": "2026-11-22T12:00:00+00:00",
    "keys": ["fallback_rate_above_threshold"],
    "alerts": [
        {
            "id": "0f343b0931126a20f133d67c2b018a3b0f343b0931126a20f133d67c2b018a3b",
            "rule": "Calls that fell back, by service",
            "key": "fallback_rate_above_threshold",
            "state": "firing",
            "severity": "warning",
            "labels": {"service": "example-mcp"},
            "metric": "fallback_rate",
            "value": 0.25,
            "comparison": "above",
            "threshold": 0.1,
            "samples": 40,
            "since": "2026-11-22T11:58:00+00:00",
            "evaluated_at": "2026-11-22T12:00:00+00:00",
            "silenced": False,
        }
    ],
    "more": False,
}
alerts = extend_schema(
    operation_id="active_alerts",
    summary="What is out of bounds now: alerts that fire, and those that may soon",
    responses={
        200: inline_serializer(
            "ActiveAlerts",
            {
                "as_of": serializers.DateTimeField(allow_null=True, help_text="Up to where figures are complete."),
                "keys": serializers.ListField(
                    child=serializers.CharField(), help_text="Of the rules that came with the installation and fire."
                ),
                "alerts": inline_serializer(
                    "ActiveAlert",
                    {
                        "id": serializers.CharField(help_text="Of the rule and the labels, for good."),
                        "rule": serializers.CharField(),
                        "key": serializers.CharField(allow_blank=True),
                        "state": serializers.ChoiceField(choices=["firing", "pending"]),
                        "severity": serializers.ChoiceField(choices=AlertRule.Severity.values),
                        "labels": serializers.DictField(child=serializers.CharField()),
                        "metric": serializers.CharField(),
                        "value": serializers.FloatField(allow_null=True),
                        "comparison": serializers.ChoiceField(choices=AlertRule.Comparison.values),
                        "threshold": serializers.FloatField(),
                        "samples": serializers.IntegerField(),
                        "since": serializers.DateTimeField(),
                        "evaluated_at": serializers.DateTimeField(help_text="The end of the window looked at last."),
                        "silenced": serializers.BooleanField(help_text="Nobody is told of it now."),
                    },
                    many=True,
                ),
                "more": serializers.BooleanField(help_text="Whether there are more than fit."),
            },
        ),
        **problems(400, *EVERY_KEYED),
    },
    examples=[example("one fires", _EXAMPLE, response_only=True, status_codes=["200"])],
)
