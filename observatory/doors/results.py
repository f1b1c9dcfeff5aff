"""`GET /results/<handle>`: the rest of a result that was cut, for the agent whose call it was."""

import uuid

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.views import APIView

from observatory.doors import openapi
from observatory.doors.key_authentication import caller_of
from observatory.doors.problem import Refusal
from telemetry.encryption import CannotOpen
from telemetry.models import Payload
from telemetry.recorder import Actor, Subject, show_payload
from tools.scopes import Scope


class ResultView(APIView):
    scope = Scope.TOOLS_CALL

    @openapi.result
    def get(self, request: Request, handle: str) -> HttpResponse:
        key = caller_of(request)
        try:
            wanted = uuid.UUID(handle)
        except ValueError:
            raise Refusal("not_found") from None
        kept = Payload.objects.filter(
            pk=wanted, purpose=Payload.Purpose.OVERFLOW, holder=key.agent_name, expires_at__gt=timezone.now()
        ).first()
        if kept is None:
            raise Refusal("not_found")
        reader = Actor("agent", key.public_id, key.agent_name)
        try:
            content = show_payload(kept, reader, Subject("payload", str(kept.pk), "result"))
        except CannotOpen:
            raise Refusal("not_found") from None
        return HttpResponse(content, content_type="application/json", headers={"Cache-Control": "no-store"})
