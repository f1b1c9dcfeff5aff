"""Answers outside any door: an address that is not there, a fault that nobody foresaw."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from observatory.doors.problem import MEDIA_TYPE, document
from tools.reasons import reason


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Admin has its page; everybody else reads a problem document."""
    if request.path.startswith("/admin/"):
        return defaults.page_not_found(request, exception)
    return _problem("not_found")


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/admin/"):
        return defaults.server_error(request)
    return _problem("internal_error")


def _problem(code: str) -> HttpResponse:
    why = reason(code)
    return JsonResponse(document(why), status=why.status, content_type=MEDIA_TYPE)
