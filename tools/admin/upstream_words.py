"""Upstream servers and what they offer, in the words and colours of operators' pages."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from telemetry.visible import visible
from telemetry.wording import ago
from tools.admin.tags import BAD, CAREFUL, GOOD, NEUTRAL, NOTE, tag
from tools.models import Upstream, UpstreamHealth, UpstreamTool

Status = UpstreamTool.Status
STATUS_TONES = {
    Status.QUARANTINED: BAD,
    Status.OFFERED: CAREFUL,
    Status.ACCEPTED: GOOD,
    Status.DECLINED: NEUTRAL,
    Status.WITHDRAWN: NOTE,
}
STATUS_MEANINGS = {
    Status.QUARANTINED: "It was accepted and has changed what it says of itself. Nobody can call it until you decide.",
    Status.OFFERED: "Nobody has decided about it. Nobody can call it.",
    Status.ACCEPTED: "It is as it was accepted. Who may call it is for policies to say.",
    Status.DECLINED: "An operator declined it. Nobody can call it, and it is not asked about again.",
    Status.WITHDRAWN: "Its upstream offers it no more. Nobody can call it; if it comes back as it was, it works again.",
}
TRANSPORTS = {
    Upstream.Transport.HTTP: "HTTP",
    Upstream.Transport.STDIO: "stdio",
    Upstream.Transport.WEBSOCKET: "WebSocket",
    Upstream.Transport.SSE: "SSE",
}


@dataclass(frozen=True, slots=True)
class State:
    """How an upstream does, in a word with its tone, and a sentence more."""

    word: str
    tone: str
    more: str

    @property
    def tag(self) -> SafeString:
        return tag(self.word, self.tone)


def health_of(upstream: Upstream) -> UpstreamHealth | None:
    found: UpstreamHealth | None = getattr(upstream, "health", None)
    return found


def state_of(upstream: Upstream) -> State:
    health = health_of(upstream)
    if not upstream.enabled:
        return State("off", NEUTRAL, "none of its tools can be called")
    if health is None or health.checked_at is None:
        return State("never looked at", CAREFUL, "nobody knows what it offers")
    if health.is_up:
        return State("up", GOOD, f"answered {ago(health.answered_at)}")
    since = f"last answered {ago(health.answered_at)}" if health.answered_at else "has never answered"
    return State("down", BAD, since)


def where_of(upstream: Upstream) -> str:
    """Where its calls go: an address, or the name of a program."""
    if upstream.transport == Upstream.Transport.STDIO:
        return f"program {visible(upstream.command)}"
    return visible(upstream.url)


def status_tag(offered: UpstreamTool) -> SafeString:
    return tag(offered.get_status_display(), STATUS_TONES[Status(offered.status)])


def check_words(check: str) -> str:
    """A check's word as people write it."""
    return visible(check.replace("_", " "))


def blocking(offered: UpstreamTool) -> list[dict[str, Any]]:
    return [finding for finding in offered.findings if finding["blocking"]]


def undecided(upstream_name: str) -> QuerySet[UpstreamTool]:
    """What the upstream offers that nobody has decided about, and in which nothing blocks."""
    offered = UpstreamTool.objects.filter(upstream__name=upstream_name, status=Status.OFFERED)
    return offered.exclude(findings__contains=[{"blocking": True}])


def tools_of(upstream: Upstream, status: str = "") -> str:
    """The address of the list of what one upstream offers."""
    query = urlencode([("upstream", upstream.name), *([("status__exact", status)] if status else [])])
    return f"{reverse('admin:tools_upstreamtool_changelist')}?{query}"


def link(address: str, text: str) -> SafeString:
    return format_html('<a class="text-link" href="{}">{}</a>', address, text)
