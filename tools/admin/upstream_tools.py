"""Tools of upstream servers: what each says of itself, what was found in it, and what became of it."""

from typing import Any

from django.contrib import admin
from django.db.models import Case, IntegerField, Model, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from telemetry.admin.acts import events_about
from telemetry.models import AuditEvent
from telemetry.visible import visible
from telemetry.wording import ago, seen
from tools.admin.acting import ActingAdmin
from tools.admin.tags import BAD, CAREFUL, NOTE, tag, tags
from tools.admin.upstream_acceptance import AcceptancePages
from tools.admin.upstream_filter import UpstreamFilter
from tools.admin.upstream_offer import MAY_DECIDE, changes_since_accepted, keys_by_policy, shown_findings, shown_offer
from tools.admin.upstream_words import STATUS_MEANINGS, blocking, status_tag, tools_of
from tools.models import UpstreamTool

Status = UpstreamTool.Status
EVENTS_SHOWN = 20
_EVENT_TONES = {"upstream_tool.quarantined": BAD, "upstream_tool.withdrawn": CAREFUL}
# What waits for a decision comes first.
_ORDER = (Status.QUARANTINED, Status.OFFERED, Status.WITHDRAWN, Status.ACCEPTED, Status.DECLINED)


class FindingsFilter(DropdownFilter):
    title = "findings"
    parameter_name = "findings"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("blocking", "blocking ones"), ("some", "any"), ("none", "none")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[UpstreamTool]) -> QuerySet[UpstreamTool]:
        if self.value() == "blocking":
            return queryset.filter(findings__contains=[{"blocking": True}])
        if self.value() == "some":
            return queryset.exclude(findings=[])
        return queryset.filter(findings=[]) if self.value() == "none" else queryset


@admin.register(UpstreamTool)
class UpstreamToolAdmin(AcceptancePages, ActingAdmin):
    subject_kind = "upstream_tool"
    list_display = ("upstream_name_shown", "upstream", "status_label", "says", "findings_label", "changed")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        UpstreamFilter,
        FindingsFilter,
    )
    list_select_related = ("upstream",)
    search_fields = ("upstream_name", "upstream__name", "declaration__title", "declaration__description")
    search_help_text = "Name, upstream, title or description."
    actions = ("accept_selected", "decline_selected")

    class Media:
        css = {"all": ["observatory/upstreams.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        order = [When(status=status, then=Value(place)) for place, status in enumerate(_ORDER)]
        return [Case(*order, output_field=IntegerField()), "upstream__name", "upstream_name"]

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("accept/", self.admin_site.admin_view(self.accept_page), name="tools_upstreamtool_accept"),
            path("decline/", self.admin_site.admin_view(self.decline_page), name="tools_upstreamtool_decline"),
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Nothing is edited here; deciding has pages of its own."""
        offered = self.get_object(request, object_id)
        if not isinstance(offered, UpstreamTool) or not self.has_view_permission(request, offered):
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "title": visible(str(offered)),
            "opts": self.opts,
            # Not as `original`, whose words are shown as they stand.
            "offered": offered,
            "media": self.media,
            **_page_context(request, offered),
        }
        return TemplateResponse(request, "tools/upstream_tool.html", context)

    @display(description="Tool", ordering="upstream_name")
    def upstream_name_shown(self, offered: UpstreamTool) -> str:
        return seen(offered.upstream_name, 60)

    @display(description="State", ordering="status")
    def status_label(self, offered: UpstreamTool) -> Any:
        return status_tag(offered)

    @display(description="It says")
    def says(self, offered: UpstreamTool) -> str:
        told = offered.declaration["description"] or offered.declaration["title"]
        return seen(told.strip().partition("\n")[0], 60) or "nothing"

    @display(description="Findings")
    def findings_label(self, offered: UpstreamTool) -> Any:
        stops = blocking(offered)
        words = [(f"{len(stops)} block{'s' if len(stops) == 1 else ''}", BAD)] if stops else []
        notes = len(offered.findings) - len(stops)
        if notes:
            words.append((f"{notes} note{'s' if notes > 1 else ''}", NOTE))
        return tags(words)

    @display(description="Since", ordering="changed_at")
    def changed(self, offered: UpstreamTool) -> Any:
        return format_html('<span class="moment">{}</span>', ago(offered.changed_at))


def _page_context(request: HttpRequest, offered: UpstreamTool) -> dict[str, Any]:
    may_decide = request.user.has_perm(MAY_DECIDE)
    has_changed = offered.status == Status.QUARANTINED
    return {
        "status_tag": status_tag(offered),
        "meaning": STATUS_MEANINGS[Status(offered.status)],
        "upstream": offered.upstream,
        "tool": offered.tool,
        "siblings": tools_of(offered.upstream),
        "offer": shown_offer(offered, keys_by_policy()),
        "findings": shown_findings(offered),
        "differences": changes_since_accepted(offered) if has_changed else [],
        "has_changed": has_changed,
        "may_accept": may_decide and offered.status in (Status.OFFERED, Status.QUARANTINED, Status.DECLINED),
        "may_decline": may_decide and offered.status != Status.DECLINED,
        "events": _events(offered) if request.user.has_perm("telemetry.view_auditevent") else None,
        "all_events": events_about("upstream_tool", str(offered.pk)),
        "times": (
            ("First seen", ago(offered.first_seen_at)),
            ("Last seen", ago(offered.last_seen_at)),
            ("Became what it is", ago(offered.changed_at)),
            ("SHA-256 now", offered.digest),
            ("SHA-256 accepted", offered.accepted_digest),
        ),
    }


def _events(offered: UpstreamTool) -> list[dict[str, Any]]:
    rows = AuditEvent.objects.filter(subject_kind="upstream_tool", subject_id=str(offered.pk)).order_by("-id")
    return [
        {
            "actor": visible(event.actor),
            "at": event.occurred_at,
            "tag": tag(event.type, _EVENT_TONES.get(event.type, "")),
        }
        for event in rows[:EVENTS_SHOWN]
    ]
