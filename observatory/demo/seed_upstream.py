"""The demonstration's upstream server, with one of its tools accepted and the other left for an operator."""

from telemetry.recorder import SYSTEM
from tools.actions.upstream_offers import accept, look_at
from tools.actions.upstreams import save_upstream
from tools.models import Upstream, UpstreamTool
from tools.upstreams.pool import POOL

UPSTREAM, ACCEPTED = "clock", "now"
# As policies name its tools.
ALLOWED = f"{UPSTREAM}.*"


def seed_upstream() -> None:
    """The world clock is known, and it may be asked for the time. Where it does not start, the rest goes on."""
    upstream = Upstream.objects.filter(name=UPSTREAM).first()
    if upstream is not None:
        return
    upstream = save_upstream(
        Upstream(name=UPSTREAM, description="A world clock on this machine.", transport="stdio", command=UPSTREAM),
        SYSTEM,
    )
    look_at(upstream)
    POOL.forget(upstream.pk)
    for offered in UpstreamTool.objects.filter(upstream=upstream, upstream_name=ACCEPTED):
        accept(
            offered, SYSTEM, seen_digest=offered.digest, settings={"risk": "low", "read_only": True, "network": "no"}
        )
