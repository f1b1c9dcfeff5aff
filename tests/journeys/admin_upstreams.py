"""What an operator does at the pages of upstream servers, as a browser would send it."""

from typing import Any

from django.test import Client
from django.urls import reverse

from tests.world import Caller
from tools.models import Upstream, UpstreamTool

ACCEPT, DECLINE = "/admin/tools/upstreamtool/accept/", "/admin/tools/upstreamtool/decline/"


def at(upstream: Upstream, what: str, *more: Any) -> str:
    return reverse(f"admin:tools_upstream_{what}", args=[upstream.pk, *more])


def own_page(offered: UpstreamTool) -> str:
    return reverse("admin:tools_upstreamtool_change", args=[offered.pk])


def look(client: Client, upstream: Upstream) -> Any:
    return client.post(at(upstream, "look"))


def tool(name: str) -> UpstreamTool:
    return UpstreamTool.objects.get(upstream_name=name)


def statuses() -> dict[str, str]:
    return dict(UpstreamTool.objects.values_list("upstream_name", "status"))


def form_of(shown: Any) -> dict[str, Any]:
    """What a browser would send of the page: every field as it stands there."""
    fields: dict[str, Any] = {"tool": []}
    for row in shown.context["rows"]:
        if row.offered.pk and not row.refusal:
            fields["tool"].append(row.offered.pk)
            for field in row.form:
                if field.value() not in (False, None):
                    fields[field.html_name] = "on" if field.value() is True else field.value()
    return fields


def asked(client: Client, *offered: UpstreamTool, where: str = ACCEPT) -> Any:
    return client.get(where, {"tool": [one.pk for one in offered]})


def ticked(offered: UpstreamTool, **more: str) -> dict[str, str]:
    return {f"tool-{offered.pk}-{name}": value for name, value in more.items()}


def accept(client: Client, *offered: UpstreamTool, **more: str) -> Any:
    shown = asked(client, *offered)
    return client.post(ACCEPT, form_of(shown) | {k: v for one in offered for k, v in ticked(one, **more).items()})


def seen_by(caller: Caller) -> list[str]:
    return [one["name"] for one in caller.get("/mcp/tools").json()["tools"]]


def outcomes(shown: Any) -> dict[str, str]:
    return {result.offered.upstream_name: result.outcome for result in shown.context["results"]}
