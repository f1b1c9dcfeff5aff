"""What a refused client is told of access tokens: where to get one, and which scope. Source: RFC 6750, 9728; MCP."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse

from observatory.doors.authorization import metadata_url
from observatory.doors.key_authentication import credential_of
from tools.access_tokens import has_token_form
from tools.scopes import Scope

REALM = 'Bearer realm="mcp-observatory"'


class TokenChallenge:
    """Middleware: every door's refusal of who calls carries it, where access tokens are accepted."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code in (401, 403):
            self._challenge(request, response)
        return response

    def _challenge(self, request: HttpRequest, response: HttpResponse) -> None:
        problem: Any = getattr(response, "data", None)
        code = problem.get("code") if isinstance(problem, Mapping) else None
        if code not in ("unauthenticated", "scope_missing"):
            return
        url = metadata_url()
        if url is None:
            return
        parts = [REALM, f'resource_metadata="{url}"']
        if code == "unauthenticated":
            # Whatever was sent as a bearer word: what it was is not told.
            parts += ['error="invalid_token"'] if "HTTP_AUTHORIZATION" in request.META else []
            parts.append(f'scope="{_scope_of(request)}"')
        elif has_token_form(credential_of(request) or ""):
            parts += ['error="insufficient_scope"', f'scope="{problem.get("scope", _scope_of(request))}"']
        else:
            return
        response["WWW-Authenticate"] = ", ".join(parts)


def _scope_of(request: HttpRequest) -> str:
    """What the door asks for; those that let the pipeline ask are doors of tool calls."""
    view = getattr(request.resolver_match.func, "cls", None) if request.resolver_match else None
    return str(getattr(view, "scope", None) or Scope.TOOLS_CALL.value)
