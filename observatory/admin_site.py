"""The operators' site: Unfold's, with a sidebar in the words of DESIGN.md and without styles written into the page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, URLResolver, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from unfold.sites import UnfoldAdminSite

from observatory.dashboard import dashboard_for
from observatory.login_throttle import login_throttle


@dataclass(frozen=True)
class Page:
    """A line of the sidebar: shown to those who hold the permission, once its admin page is registered."""

    title: str
    icon: str
    name: str
    permission: str = ""

    def link_for(self, user: User | AnonymousUser) -> str:
        """The address, or nothing for a reader who may not open it."""
        if self.permission and not user.has_perm(self.permission):
            return ""
        try:
            return reverse(self.name)
        except NoReverseMatch:
            return ""


SIDEBAR: tuple[tuple[str, tuple[Page, ...]], ...] = (
    ("Now", (Page("Dashboard", "monitoring", "admin:index"),)),
    (
        "Who",
        (
            Page("Agents", "smart_toy", "admin:tools_agent_changelist", "tools.view_agent"),
            Page("Agent keys", "key", "admin:tools_agentkey_changelist", "tools.view_agentkey"),
            Page(
                "Access token subjects",
                "badge",
                "admin:tools_accesssubject_changelist",
                "tools.view_accesssubject",
            ),
            Page(
                "Unmapped subjects",
                "person_search",
                "admin:tools_unmappedsubject_changelist",
                "tools.view_unmappedsubject",
            ),
        ),
    ),
    (
        "What",
        (
            Page("Tools", "construction", "admin:tools_tool_changelist", "tools.view_tool"),
            Page("Upstream servers", "dns", "admin:tools_upstream_changelist", "tools.view_upstream"),
            Page("Upstream tools", "extension", "admin:tools_upstreamtool_changelist", "tools.view_upstreamtool"),
        ),
    ),
    (
        "Rules",
        (
            Page("Policies", "policy", "admin:tools_policy_changelist", "tools.view_policy"),
            Page("May it?", "help", "admin:may_it", "tools.explain_access"),
        ),
    ),
    (
        "Two phases",
        (
            Page("Proposals", "lab_profile", "admin:approvals_proposal_changelist", "approvals.view_proposal"),
            Page("Commits", "task_alt", "admin:approvals_commit_changelist", "approvals.view_commit"),
            Page(
                "Integrity scores",
                "speed",
                "admin:approvals_integritysettings_changelist",
                "approvals.view_integritysettings",
            ),
            Page(
                "Approved prompts",
                "fact_check",
                "admin:approvals_promptbaseline_changelist",
                "approvals.view_promptbaseline",
            ),
            Page("Signing keys", "vpn_key", "admin:approvals_signingkey_changelist", "approvals.view_signingkey"),
        ),
    ),
    (
        "Switches",
        (Page("Kill switches", "power_settings_new", "admin:tools_killswitch_changelist", "tools.view_killswitch"),),
    ),
    (
        "Guardrails",
        (
            Page(
                "Guardrails",
                "shield",
                "admin:telemetry_guardrailsettings_changelist",
                "telemetry.view_guardrailsettings",
            ),
            Page(
                "Remote detectors",
                "radar",
                "admin:telemetry_remotedetector_changelist",
                "telemetry.view_remotedetector",
            ),
            Page("Try a text", "text_snippet", "admin:try_guardrails", "telemetry.view_guardrailsettings"),
        ),
    ),
    (
        "Alerts",
        (
            Page("Alerts", "notifications", "admin:telemetry_alertinstance_changelist", "telemetry.view_alertinstance"),
            Page(
                "Alerts over time",
                "stacked_bar_chart",
                "admin:alerts_over_time",
                "telemetry.view_alertinstance",
            ),
            Page("Alert rules", "rule_settings", "admin:telemetry_alertrule_changelist", "telemetry.view_alertrule"),
            Page("Channels", "campaign", "admin:telemetry_alertchannel_changelist", "telemetry.view_alertchannel"),
            Page(
                "Silences",
                "notifications_off",
                "admin:telemetry_alertsilence_changelist",
                "telemetry.view_alertsilence",
            ),
        ),
    ),
    (
        "Record",
        (
            Page(
                "Pending actions",
                "pending_actions",
                "admin:approvals_pendingaction_changelist",
                "approvals.view_pendingaction",
            ),
            Page("Sessions", "forum", "admin:telemetry_session_changelist", "telemetry.view_session"),
            Page("Reports", "summarize", "admin:telemetry_report_changelist", "telemetry.report_session"),
            Page("What happened", "insights", "admin:what_happened", "telemetry.view_span"),
            Page("Audit events", "receipt_long", "admin:telemetry_auditevent_changelist", "telemetry.view_auditevent"),
            Page("Spans", "timeline", "admin:telemetry_span_changelist", "telemetry.view_span"),
            Page(
                "Idempotency records",
                "content_copy",
                "admin:tools_idempotencyrecord_changelist",
                "tools.view_idempotencyrecord",
            ),
        ),
    ),
    (
        "Telemetry",
        (
            Page("Prices", "sell", "admin:telemetry_priceoverride_changelist", "telemetry.view_priceoverride"),
            Page("Sent on", "outbox", "admin:telemetry_spanexport_changelist", "telemetry.view_spanexport"),
        ),
    ),
    (
        "People",
        (
            Page("Users", "person", "admin:auth_user_changelist", "auth.view_user"),
            Page("Groups", "group", "admin:auth_group_changelist", "auth.view_group"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar for one reader: groups with at least one page that they may open."""
    groups: list[dict[str, Any]] = []
    for title, pages in SIDEBAR:
        links = [(page, page.link_for(request.user)) for page in pages]
        items = [{"title": page.title, "icon": page.icon, "link": link} for page, link in links if link]
        if items:
            groups.append({"title": title, "separator": bool(groups), "collapsible": False, "items": items})
    return groups


def environment_label(request: HttpRequest) -> list[str]:
    """The environment's name beside the user's, red where mistakes cost most."""
    return [settings.ENVIRONMENT, "danger" if settings.ENVIRONMENT == "production" else "info"]


class ObservatoryAdminSite(UnfoldAdminSite):
    index_title = "Now"
    enable_nav_sidebar = True

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context: dict[str, Any] = super().each_context(request)
        # Unfold would write them as a <style> element; observatory/admin.css sets the same variables.
        context["colors"] = None
        return context

    @method_decorator(login_throttle)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        page: HttpResponse = super().login(request, extra_context)
        return page

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        board = {"board": dashboard_for(request.user, timezone.now())}
        page: TemplateResponse = super().index(request, board | (extra_context or {}))
        return page

    def add_page(self, route: str, view: Callable[..., HttpResponse], name: str) -> None:
        """The site has a page of its own, as admin:<name>; the view gets the site as `site`."""
        self._pages = [*getattr(self, "_pages", ()), path(route, self.admin_view(view), {"site": self}, name)]

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [*getattr(self, "_pages", ()), *super().get_urls()]
