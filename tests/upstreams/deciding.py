"""What an operator does about a tool that is offered."""

from telemetry.recorder import SYSTEM
from tools.actions.upstream_offers import accept
from tools.models import UpstreamTool


def offered(upstream, name):
    return UpstreamTool.objects.get(upstream=upstream, upstream_name=name)


def accepted(upstream, name, **settings):
    """The tool, accepted as it is, whatever was found in it."""
    row = offered(upstream, name)
    return accept(row, SYSTEM, seen_digest=row.digest, settings=settings, despite_findings=True)
