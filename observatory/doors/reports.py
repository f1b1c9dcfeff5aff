"""`GET /reports/sessions.json` and `.xlsx`: sessions with their steps, masked, as a file.

A key reads its own agent's sessions, another's being as ones that are not there; where its owner may make reports in
admin, it reads all, as an operator's key does at `/decisions`. The file is whole before its first byte leaves: what
fails is a refusal and no half of a report, and no connection to the database waits for a slow reader.
"""

from __future__ import annotations

from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.http import FileResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.views import APIView

from observatory.doors import openapi_reports
from observatory.doors.key_authentication import caller_of
from observatory.doors.parameters import refuse_unknown
from observatory.doors.problem import Refusal
from observatory.doors.renderers import WorkbookRenderer
from telemetry.connections import release_connection
from telemetry.models import Report
from telemetry.reports.making import Making
from telemetry.reports.requested import MAY_REPORT
from telemetry.reports.selection import FILTERS, BadFilter, Filters, Selection
from telemetry.reports.writing import CONTENT_TYPES, TooManySteps, record_made, write_report
from tools.scopes import Scope
from tools.snapshot import KeyView

# About a minute of work: what takes longer is made by a worker.
MOST_STEPS = 100_000


class JSONReportView(APIView):
    scope = Scope.REPORTS_READ

    @openapi_reports.sessions_json
    def get(self, request: Request) -> FileResponse:
        return _answer(request, Report.Format.JSON)


class WorkbookReportView(APIView):
    scope = Scope.REPORTS_READ
    renderer_classes = (WorkbookRenderer,)

    @openapi_reports.sessions_xlsx
    def get(self, request: Request) -> FileResponse:
        return _answer(request, Report.Format.XLSX)


def _answer(request: Request, format_: Report.Format) -> FileResponse:
    caller = caller_of(request)
    making = Making(_selection(request, caller), caller.agent_name, timezone.now())
    with ExitStack() as until_answered:
        out = until_answered.enter_context(TemporaryFile())
        try:
            made = write_report(format_, making, out, most_steps=MOST_STEPS)
        except TooManySteps as problem:
            raise Refusal("too_large", _too_many(problem.steps)) from None
        with transaction.atomic():
            record_made(caller.actor, format_, making, made)
        release_connection()
        out.seek(0)
        until_answered.pop_all()
    return FileResponse(
        out,
        as_attachment=True,
        filename=f"sessions.{format_}",
        content_type=CONTENT_TYPES[format_],
        headers={"Cache-Control": "no-store"},
    )


def _selection(request: Request, caller: KeyView) -> Selection:
    given: Any = request.query_params
    refuse_unknown(given, FILTERS)
    if empty := sorted(name for name, value in given.items() if not value):
        raise Refusal("invalid_parameter", f"Empty filter: {', '.join(empty)}. Leave out what may be anything.")
    try:
        filters = Filters.from_json(given.dict())
    except BadFilter as problem:
        raise Refusal("invalid_parameter", str(problem)) from None
    return Selection(filters, None if _may_read_all(caller) else caller.agent_id)


def _may_read_all(key: KeyView) -> bool:
    """The key's owner is a person who may make reports of every agent's sessions."""
    user = get_user_model().objects.filter(pk=key.owner_id, is_active=True, is_staff=True).first()
    return user is not None and user.has_perm(MAY_REPORT)


def _too_many(steps: int) -> str:
    return f"{steps:,} steps; at most {MOST_STEPS:,} here. Narrow it by from and to, or have it made in admin."
