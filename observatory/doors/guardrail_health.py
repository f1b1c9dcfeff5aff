"""`GET /guardrails/health`: the detectors and the harness, each with availability, version and what it lacks."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.doors import openapi_sessions as openapi
from observatory.version import VERSION
from telemetry.guardrail_health import guardrail_health
from tools.scopes import Scope


class GuardrailHealthView(APIView):
    scope = Scope.HEALTH_READ

    @openapi.guardrail_health
    def get(self, request: Request) -> Response:
        return Response(guardrail_health(VERSION), headers={"Cache-Control": "no-store"})
