"""A reason becomes an HTTP answer: RFC 9457 problem documents."""

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from tools.reasons import Reason, reason

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
TYPE = "urn:mcp-observatory:problem:"
_BY_EXCEPTION: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.NotAuthenticated, "unauthenticated"),
    (exceptions.AuthenticationFailed, "unauthenticated"),
    (exceptions.MethodNotAllowed, "method_not_allowed"),
    (exceptions.NotAcceptable, "not_acceptable"),
    (exceptions.UnsupportedMediaType, "unsupported_media_type"),
    (exceptions.ParseError, "malformed_json"),
    (exceptions.NotFound, "not_found"),
    (Http404, "not_found"),
    (RequestDataTooBig, "too_large"),
    (exceptions.PermissionDenied, "scope_missing"),
    (PermissionDenied, "scope_missing"),
    (OperationalError, "database_unavailable"),
    (InterfaceError, "database_unavailable"),
)


def document(why: Reason, detail: str = "", trace_id: str = "") -> dict[str, Any]:
    """The members that every problem document has."""
    return {
        "type": TYPE + why.code,
        "title": why.title,
        "status": why.status,
        "detail": detail or why.meaning,
        "code": why.code,
        "decision": why.decision,
        "trace_id": trace_id,
    }


def problem(why: Reason, detail: str = "", *, trace_id: str = "", facts: Mapping[str, Any] | None = None) -> Response:
    """The problem document of a reason, with Retry-After where the facts name it."""
    extra = dict(facts or {})
    retry_after = extra.get("retry_after_s")
    response = Response({**extra, **document(why, detail, trace_id)}, status=why.status, content_type=MEDIA_TYPE)
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    if why.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="mcp-observatory"'
    return response


class Refusal(Exception):
    """A door can't go on; the reason says why."""

    def __init__(self, code: str, detail: str = "", **facts: Any) -> None:
        super().__init__(code)
        self.reason, self.detail, self.facts = reason(code), detail, facts


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's hook: what a door raised, as a problem document. What is not known here stays a 500 and is logged."""
    if isinstance(error, Refusal):
        return problem(error.reason, error.detail, facts=error.facts)
    for kind, code in _BY_EXCEPTION:
        if isinstance(error, kind):
            if code == "database_unavailable":
                log.exception("the database failed")
            if isinstance(error, exceptions.MethodNotAllowed):
                allowed = ", ".join(context["view"].allowed_methods)
                response = problem(reason(code), f"This address answers {allowed}.")
                response["Allow"] = allowed
                return response
            return problem(reason(code))
    return None
