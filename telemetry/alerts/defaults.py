"""The rules that come with an installation: on, and without channels until an operator says who is told."""

from __future__ import annotations

from typing import Any

from telemetry.metrics.definitions import SNAPSHOT
from telemetry.models import AlertRule
from telemetry.models.span import OWN_SERVICE

ABOVE, BELOW = AlertRule.Comparison.ABOVE, AlertRule.Comparison.BELOW
INFO, WARNING, CRITICAL = AlertRule.Severity.INFO, AlertRule.Severity.WARNING, AlertRule.Severity.CRITICAL
# Golden scenarios and shadow calls are few, and each says much.
_FEW: dict[str, dict[str, Any]] = {
    "golden_financial_failure_rate": {"window_s": 3_600, "min_samples": 1, "severity": CRITICAL},
    "shadow_disagreement_rate": {"window_s": 3_600, "min_samples": 5},
}
# Calls that came in here: nobody who reports spans can set such a rule off, or hide what it is about among others.
_OUR_TOOLS: dict[str, Any] = {"service": OWN_SERVICE, "group_by": ["tool_name"]}
_OPERATIONS: tuple[dict[str, Any], ...] = (
    {
        "name": "A tool is denied often",
        "metric": "denied_rate",
        "threshold": 0.25,
        **_OUR_TOOLS,
        "description": "An agent tries what its policy forbids, or a policy forbids too much. The span list says why.",
    },
    {
        "name": "A tool fails often",
        "metric": "error_rate",
        "threshold": 0.10,
        **_OUR_TOOLS,
        "description": "The tool or what it calls is broken. The spans of the tool say since when.",
    },
    {
        "name": "A tool is slow",
        "metric": "duration_p95",
        "threshold": 10.0,
        **_OUR_TOOLS,
        "for_s": 300,
        "description": "One call of twenty takes longer than this.",
    },
    {
        "name": "An upstream's tools changed what they say",
        "metric": "upstream_tools_quarantined",
        "window_s": 60,
        "threshold": 0.0,
        "group_by": ["service"],
        "description": "They can't be called until somebody accepts them.",
    },
    {
        "name": "An upstream does not answer",
        "metric": "upstreams_down",
        "window_s": 60,
        "threshold": 0.0,
        "group_by": ["service"],
        "for_s": 120,
        "severity": CRITICAL,
        "description": "Calls of its tools fail.",
    },
    {
        "name": "Many actions wait for a person",
        "metric": "pending_actions_waiting",
        "window_s": 60,
        "threshold": 20.0,
        "for_s": 600,
        "severity": INFO,
        "description": "They expire if nobody decides.",
    },
    {
        "name": "An action's outcome is not known",
        "metric": "unknown_outcomes",
        "window_s": 60,
        "threshold": 0.0,
        "description": "It was cut off while it ran. Somebody must look it up in the tool's own system and settle it.",
    },
    {
        "name": "Few days ahead have room for spans",
        "metric": "partitions_ahead",
        "window_s": 60,
        "comparison": BELOW,
        "threshold": 3.0,
        "severity": CRITICAL,
        "description": "The hourly sweep makes eight; it does not run, or it fails.",
    },
    {
        "name": "Figures are old",
        "metric": "rollups_behind",
        "window_s": 60,
        "threshold": 300.0,
        "for_s": 60,
        "severity": CRITICAL,
        "description": "Sums by minute are behind: the other rules look at a past that is longer ago than it seems.",
    },
)


def default_rules() -> list[AlertRule]:
    """Unsaved, each under the key that it has on the wire."""
    of_snapshot = [
        {
            "name": f"{metric.title}, by service",
            "metric": metric.name,
            "threshold": metric.default_threshold,
            "group_by": ["service"],
            "window_s": 900,
            **_FEW.get(metric.name, {}),
        }
        for metric in SNAPSHOT
        if metric.default_threshold is not None
    ]
    return [AlertRule(key=_key(fields), **fields) for fields in (*of_snapshot, *_OPERATIONS)]


def _key(fields: dict[str, Any]) -> str:
    return f"{fields['metric']}_{fields.get('comparison', ABOVE)}_threshold"


def create_default_rules() -> int:
    """Each default rule is there; one that is stays as operators changed it. How many were new."""
    known = set(AlertRule.objects.exclude(key="").values_list("key", flat=True))
    new = [rule for rule in default_rules() if rule.key not in known]
    return len(AlertRule.objects.bulk_create(new, ignore_conflicts=True)) if new else 0
