"""Looking at what an upstream offers: what the look would do, then what it found or why it failed."""

import time
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods

from telemetry.admin.acts import Act, operator_of
from telemetry.visible import visible
from tools.actions.upstream_offers import Look, look_at
from tools.admin.acting import ActingAdmin
from tools.admin.kill_switches import AgreementForm
from tools.admin.upstream_words import TRANSPORTS, state_of, tools_of, undecided, where_of
from tools.models import Upstream, UpstreamTool

Transport, Credential, Status = Upstream.Transport, Upstream.Credential, UpstreamTool.Status
NAMES_SHOWN = 30
# What became of tools, in the order in which an operator wants to know it: word of a Look, what it means.
OUTCOMES = {
    "quarantined": "changed what they say of themselves and are quarantined: nobody can call them until you decide",
    "offered": "new: nobody can call them until you accept them",
    "changed": "changed again, and are still not callable",
    "returned": "back as they were accepted: they can be called again",
    "withdrawn": "not offered any more: calls of them are refused",
    "taken back": "were offered, never accepted, and are gone",
    "unreadable": "can't be read, and are left out",
    "unchanged": "as they were",
}
URGENT = ("quarantined", "unreadable", "withdrawn")


def may_look(request: HttpRequest) -> bool:
    """Who may say where it is, and who decides about what it offers."""
    return request.user.has_perm("tools.change_upstream") or request.user.has_perm("tools.accept_upstreamtool")


class LookPage(ActingAdmin):
    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def look_page(self, request: HttpRequest, upstream_id: int) -> HttpResponse:
        if not may_look(request):
            raise PermissionDenied
        upstream = get_object_or_404(Upstream.objects.select_related("health"), pk=upstream_id)
        if request.method != "POST":
            return self.act_page(request, upstream, _act(upstream), AgreementForm())
        began = time.monotonic()
        look = look_at(upstream, operator_of(request))
        took_ms = round((time.monotonic() - began) * 1000)
        # As it stands after the look.
        upstream = Upstream.objects.select_related("health").get(pk=upstream.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{upstream} did not answer" if look.error else f"{upstream} answered",
            "opts": self.opts,
            "original": upstream,
            "media": self.media,
            "state": state_of(upstream),
            "where": where_of(upstream),
            "took": f"{took_ms} ms" if took_ms < 2000 else f"{took_ms / 1000:.1f} s",
            "error": visible(look.error),
            "advice": _advice(upstream) if look.error else (),
            "outcomes": _outcomes(look),
            "health": upstream.health,
            "calls_itself": visible(f"{upstream.health.server_name} {upstream.health.server_version}".strip()),
            "all_tools": tools_of(upstream),
            "changed": upstream.tools.filter(status=Status.QUARANTINED).count(),
            "changed_tools": tools_of(upstream, Status.QUARANTINED),
            "acceptable": undecided(upstream.name).exists(),
            "accept_page": f"{reverse('admin:tools_upstreamtool_accept')}?upstream={upstream.name}",
            "may_accept": request.user.has_perm("tools.accept_upstreamtool"),
        }
        return TemplateResponse(request, "tools/upstream_look.html", context)


def _act(upstream: Upstream) -> Act:
    return Act(
        title=f"Look at what {upstream} offers",
        facts=(
            ("Transport", TRANSPORTS[Transport(upstream.transport)]),
            ("Where", where_of(upstream)),
            ("State", state_of(upstream).tag),
        ),
        consequences=(
            *_connecting(upstream),
            _showing(upstream),
            "Tools that are new wait for an operator: nobody can call one until it is accepted.",
            "An accepted tool that has changed what it says of itself is quarantined at once: calls of it are refused.",
        ),
        button="Connect and look",
    )


def _connecting(upstream: Upstream) -> tuple[str, ...]:
    at_most = f"within {upstream.timeout_s} s"
    if upstream.transport == Transport.STDIO:
        first = f"The program that the settings name {visible(upstream.command)} is asked {at_most} what it offers; "
        first += "it is started where it does not run."
    else:
        first = f"{where_of(upstream)} is connected to and asked {at_most} what it offers. No tool of it is called."
    return (first, "The upstream is switched off: it is looked at, but nothing of it can be called.")[
        : 1 if upstream.enabled else 2
    ]


def _showing(upstream: Upstream) -> str:
    if upstream.credential == Credential.NONE or not upstream.sealed_secret:
        own = " No agent's own credential is used for this." if upstream.credential == Credential.PER_AGENT else ""
        return f"It is shown no credential.{own}"
    carrier = "environment variable" if upstream.transport == Transport.STDIO else "header"
    return f"It is shown the stored credential, in the {carrier} {visible(upstream.credential_name)}."


def _advice(upstream: Upstream) -> tuple[str, ...]:
    """What an operator can do about an upstream that does not answer."""
    if upstream.transport == Transport.STDIO and upstream.command not in settings.MCP_COMMANDS:
        return (
            f"Whoever runs the installation puts {visible(upstream.command)} into OBSERVATORY_MCP_COMMANDS again, and "
            "restarts web and workers; or choose another command here.",
        )
    if upstream.transport == Transport.STDIO:
        return (
            f"Run the command line that OBSERVATORY_MCP_COMMANDS names {visible(upstream.command)} by hand, as the "
            "user of this installation: it must speak MCP and print nothing else on its standard output.",
            "It gets only a small environment and the one variable named here: what else it needs belongs into the "
            "command line.",
            f"A program that starts slowly may need a longer time-out than {upstream.timeout_s} s.",
        )
    usual = {Transport.SSE: "/sse", Transport.WEBSOCKET: "/ws or /mcp"}.get(Transport(upstream.transport), "/mcp")
    return (
        f"Is the address right to its last letter? Such servers usually answer at {usual}.",
        "An address inside your network is refused until OBSERVATORY_EGRESS_ALLOW names it.",
        "Does it want a credential? Most want the header Authorization and “Bearer ” before the token.",
        f"A slow server may need a longer time-out than {upstream.timeout_s} s.",
    )


def _outcomes(look: Look) -> list[dict[str, Any]]:
    """What became of tools: how many, what that means, which."""
    return [
        {
            "count": look.counts[word],
            "meaning": meaning,
            "names": [_told(word, name) for name in look.names.get(word, ())[:NAMES_SHOWN]],
            "more": max(look.counts[word] - NAMES_SHOWN, 0),
            "is_urgent": word in URGENT,
        }
        for word, meaning in OUTCOMES.items()
        if look.counts[word]
    ]


def _told(word: str, name: str) -> str:
    """A name as it may be shown; of what can't be read, there is a sentence that may be already."""
    return name if word == "unreadable" else visible(name)
