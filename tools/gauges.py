"""What tools can count for alerts and Prometheus."""

from collections.abc import Iterable

from telemetry.metrics.gauges import Reading, register_gauge
from tools.models import KillSwitch, Upstream, UpstreamTool


def register() -> None:
    register_gauge("upstream_tools_quarantined", "Upstream tools that changed what they say", quarantined)
    register_gauge("upstreams_down", "Upstream servers that do not answer", down)
    register_gauge("frozen", "Kill switches that are engaged", frozen)


def quarantined() -> Iterable[Reading]:
    rows = UpstreamTool.objects.filter(status=UpstreamTool.Status.QUARANTINED).select_related("upstream", "tool")
    for row in rows:
        yield Reading(1, {"service": row.upstream.name, "tool_name": row.tool.name if row.tool else ""})


def down() -> Iterable[Reading]:
    for name in Upstream.objects.down().values_list("name", flat=True):
        yield Reading(1, {"service": name})


def frozen() -> Iterable[Reading]:
    for switch in KillSwitch.objects.engaged().select_related("agent", "tool"):
        of_agent, of_tool = (thing.name if thing else "" for thing in (switch.agent, switch.tool))
        yield Reading(1, {"agent": of_agent, "tool_name": of_tool})
