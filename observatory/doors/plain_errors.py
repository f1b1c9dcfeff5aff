"""Answers outside any door: an address that is not there, a fault that nobody foresaw."""

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from observatory.doors.problem import MEDIA_TYPE, document
from tools.reasons import reason


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A host that is not this installation's, as a page sends that rebinds its own name, or an unreadable request."""
    if request.path.startswith("/admin/"):
        return defaults.bad_request(request, exception)
    is_other_host = isinstance(exception, DisallowedHost)
    return _problem("invalid_parameter", "This installation does not answer to that host." if is_other_host else "")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Admin has its page; everybody else reads a problem document."""
    if request.path.startswith("/admin/"):
        return defaults.page_not_found(request, exception)
    return _problem("not_found")


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/admin/"):
        return defaults.server_error(request)
    return _problem("internal_error")


def _problem(code: str, detail: str = "") -> HttpResponse:
    why = reason(code)
    return JsonResponse(document(why, detail), status=why.status, content_type=MEDIA_TYPE)
