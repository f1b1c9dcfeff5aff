"""What Prometheus is told, by name: each family, its labels, and how many series it may have."""

from __future__ import annotations

from dataclasses import dataclass

from telemetry.metrics.definitions import METRICS, Metric, Source, Unit

PREFIX = "mcp_observatory_"
# Of one family; the rest is summed up in one more, whose labels all say THE_REST.
MOST_SERIES = 1_000
# Seconds. What a bound counts is right to the width of the histogram's buckets, 2 %.
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Family:
    """`labels` are columns of rollups; on the wire tool_name is `tool`."""

    name: str
    type: str
    title: str
    labels: tuple[str, ...] = ()
    most: int = MOST_SERIES


CALLS = Family(
    f"{PREFIX}calls",
    "counter",
    "Tool and model calls since the first of the month (UTC).",
    ("origin", "kind", "service", "tool_name", "agent", "decision"),
)
TOKENS = Family(
    f"{PREFIX}tokens",
    "counter",
    "Tokens of these calls; direction is in or out.",
    ("origin", "service", "model", "agent", "direction"),
)
COST = Family(
    f"{PREFIX}cost_usd",
    "counter",
    "What these calls cost in US dollars, as far as their prices are known.",
    ("origin", "service", "model", "agent"),
)
DURATIONS = Family(
    f"{PREFIX}call_duration_seconds",
    "histogram",
    "How long spans took; of kind upstream: the part of a call that another server took.",
    ("origin", "kind", "service", "tool_name"),
    # Its bounds, +Inf, count and sum are series too.
    most=MOST_SERIES // (len(BOUNDS_S) + 3),
)
ALERTS = Family(f"{PREFIX}alerts_firing", "gauge", "Alerts that fire.", ("severity",))
BUILD = Family(f"{PREFIX}build_info", "gauge", "1; its label is the version that runs.", ("version",))
OF_SPANS = (CALLS, TOKENS, COST, DURATIONS)


def families() -> tuple[Family, ...]:
    """Every family that is exposed, the registered gauges among them."""
    gauges = [metric for metric in METRICS.values() if metric.source is Source.GAUGE]
    of_gauges = [Family(gauge_name(gauge), "gauge", f"{gauge.title}.") for gauge in gauges]
    return (*OF_SPANS, *of_gauges, ALERTS, BUILD)


def gauge_name(gauge: Metric) -> str:
    """Prometheus writes units out."""
    return PREFIX + gauge.name + ("_seconds" if gauge.unit is Unit.SECONDS else "")
