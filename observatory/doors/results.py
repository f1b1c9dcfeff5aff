"""`GET /results/<handle>`: the rest of a result that was cut, for the agent whose call it was."""

import uuid

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.views import APIView

from observatory.doors import openapi
from observatory.doors.problem import Refusal
from telemetry.encryption import CannotOpen
from telemetry.models import Payload
from telemetry.recorder import open_payload
from tools.scopes import Scope
from tools.snapshot import KeyView


class ResultView(APIView):
    scope = Scope.TOOLS_CALL

    @openapi.result
    def get(self, request: Request, handle: str) -> HttpResponse:
        key: KeyView = request.user  # type: ignore[assignment]  # our authentication puts the key there
        try:
            wanted = uuid.UUID(handle)
        except ValueError:
            raise Refusal("not_found") from None
        kept = Payload.objects.filter(
            pk=wanted, purpose=Payload.Purpose.OVERFLOW, holder=key.agent_name, expires_at__gt=timezone.now()
        ).first()
        if kept is None:
            raise Refusal("not_found")
        try:
            return HttpResponse(open_payload(kept), content_type="application/json")
        except CannotOpen:
            raise Refusal("not_found") from None
