"""Answers outside any door: an address that is not there, a fault that nobody foresaw."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from observatory.doors.problem import MEDIA_TYPE, TYPE
from tools.reasons import reason


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Admin has its page; everybody else reads a problem document."""
    if request.path.startswith("/admin/"):
        return defaults.page_not_found(request, exception)
    why = reason("not_found")
    return _document(why.code, why.status, why.title, why.meaning, why.decision)


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/admin/"):
        return defaults.server_error(request)
    return _document("internal_error", 500, "Internal error", "The fault is in the installation's log.", "error")


def _document(code: str, status: int, title: str, detail: str, decision: str) -> HttpResponse:
    body = {"type": TYPE + code, "title": title, "status": status, "detail": detail, "code": code}
    return JsonResponse(body | {"decision": decision, "trace_id": ""}, status=status, content_type=MEDIA_TYPE)
