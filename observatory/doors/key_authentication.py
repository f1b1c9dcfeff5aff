"""Keys at the doors that are not tool calls. The same proof, the same single answer, as in the pipeline."""

import datetime as dt
from typing import Any, cast

from django.db import transaction
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from observatory.doors.problem import Refusal
from telemetry.recorder import Ruling, Subject, count_refusal, record_event
from telemetry.visible import visible
from tools.access_tokens import has_token_form
from tools.authentication import proven
from tools.key_use import note_use
from tools.reasons import reason
from tools.snapshot import KeyView, Snapshot, current


def credential_of(request: Any) -> str | None:
    """X-API-Key, or the bearer token. Two that differ are none; nor is an access token under a key's name one."""
    header = request.META.get("HTTP_X_API_KEY")
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else None
    if header and ((bearer and header != bearer) or has_token_form(header)):
        return None
    return header or bearer


def proven_caller(request: Any, snapshot: Snapshot, now: dt.datetime) -> KeyView:
    """Who asks. Raises AuthenticationFailed or Refusal, and it is counted."""
    found = proven(credential_of(request), snapshot, now)
    if isinstance(found, KeyView):
        return found
    count_refusal(found.code, now)
    if found.code == "unauthenticated":
        raise AuthenticationFailed
    raise Refusal(found.code, found.detail, **found.facts)


class KeyAuthentication(BaseAuthentication):
    """`request.user` is the key's view; `request.auth` is the snapshot it was found in."""

    def authenticate(self, request: Request) -> tuple[Any, Any]:
        now = timezone.now()
        snapshot = current()
        key = proven_caller(request, snapshot, now)
        note_use(key.id, now)
        return key, snapshot

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="mcp-observatory"'


def record_refusal(key: KeyView, code: str, place: str) -> None:
    """That a key was refused at a door is on record."""
    why = reason(code)
    with transaction.atomic():
        record_event(
            "key.refused",
            key.actor,
            Subject("door", "", visible(place)[:150]),
            ruling=Ruling(why.decision, why.code),
        )


def caller_of(request: Request) -> KeyView:
    """The key that this request proved; KeyAuthentication put it where DRF keeps users."""
    return cast(KeyView, request.user)


def snapshot_of(request: Request) -> Snapshot:
    """The view of keys, tools and policies in which the key was found."""
    return cast(Snapshot, request.auth)


class HasScope(BasePermission):
    """The key has the scope that the view names. A view that names none is nobody's."""

    def has_permission(self, request: Request, view: Any) -> bool:
        key = caller_of(request)
        scope = view.scope
        if scope not in key.scopes:
            record_refusal(key, "scope_missing", request.path)
            raise Refusal("scope_missing", f"This needs the scope {scope}.", scope=scope)
        return True
