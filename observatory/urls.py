"""Every address, on one screen."""

from django.contrib import admin
from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from observatory.doors.actions import ActionView, ConfirmView
from observatory.doors.audit import AuditEventsView
from observatory.doors.authorization import ResourceMetadataView
from observatory.doors.decisions import DecisionsView
from observatory.doors.guardrail_health import GuardrailHealthView
from observatory.doors.health import HealthView, ReadyView
from observatory.doors.mcp.view import McpView
from observatory.doors.metrics import FiguresView, PrometheusView
from observatory.doors.proposals import CommitView, ProposalsView, ProposalView
from observatory.doors.reports import JSONReportView, WorkbookReportView
from observatory.doors.rest import ToolCallView, ToolsView
from observatory.doors.results import ResultView
from observatory.doors.session_steps import StepsView
from observatory.doors.sessions import CloseView, SessionsView, SessionView
from observatory.doors.telemetry_alerts import AlertsView
from observatory.doors.telemetry_otlp import TracesView
from observatory.doors.telemetry_spans import SpansView

urlpatterns = [
    path("admin/", admin.site.urls),
    path(".well-known/oauth-protected-resource", ResourceMetadataView.as_view(), name="resource-metadata"),
    path(".well-known/oauth-protected-resource/mcp", ResourceMetadataView.as_view(), name="resource-metadata-mcp"),
    path("mcp", McpView.as_view(), name="mcp"),
    path("mcp/tools", ToolsView.as_view(), name="tools"),
    path("tools/<str:name>", ToolCallView.as_view(), name="tool-call"),
    path("confirm/<str:action_id>", ConfirmView.as_view(), name="confirm"),
    path("actions/<str:action_id>", ActionView.as_view(), name="action"),
    path("proposals", ProposalsView.as_view(), name="proposals"),
    path("proposals/<str:proposal_id>", ProposalView.as_view(), name="proposal"),
    path("proposals/<str:proposal_id>/commit", CommitView.as_view(), name="commit"),
    path("decisions", DecisionsView.as_view(), name="decisions"),
    path("sessions", SessionsView.as_view(), name="sessions"),
    path("sessions/<str:session_id>", SessionView.as_view(), name="session"),
    path("sessions/<str:session_id>/steps", StepsView.as_view(), name="steps"),
    path("sessions/<str:session_id>/close", CloseView.as_view(), name="session-close"),
    path("reports/sessions.json", JSONReportView.as_view(), name="report-json"),
    path("reports/sessions.xlsx", WorkbookReportView.as_view(), name="report-xlsx"),
    path("results/<str:handle>", ResultView.as_view(), name="result"),
    path("telemetry/alerts", AlertsView.as_view(), name="telemetry-alerts"),
    path("telemetry/spans", SpansView.as_view(), name="telemetry-spans"),
    path("v1/traces", TracesView.as_view(), name="otlp-traces"),
    path("audit/events", AuditEventsView.as_view(), name="audit-events"),
    path("telemetry/metrics", FiguresView.as_view(), name="figures"),
    path("metrics", PrometheusView.as_view(), name="prometheus"),
    path("guardrails/health", GuardrailHealthView.as_view(), name="guardrail-health"),
    path("health", HealthView.as_view(), name="health"),
    path("health/ready", ReadyView.as_view(), name="ready"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
]
handler400 = "observatory.doors.plain_errors.bad_request"
handler404 = "observatory.doors.plain_errors.not_found"
handler500 = "observatory.doors.plain_errors.server_error"
