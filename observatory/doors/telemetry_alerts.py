"""`GET /telemetry/alerts`: what is out of bounds now."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.doors import openapi_alerts
from observatory.doors.problem import Refusal
from telemetry.alerts.reading import active_alerts
from telemetry.clock import database_now
from tools.scopes import Scope


class AlertsView(APIView):
    scope = Scope.TELEMETRY_READ

    @openapi_alerts.alerts
    def get(self, request: Request) -> Response:
        if request.query_params:
            raise Refusal("invalid_parameter", "This address takes no filter.")
        return Response(active_alerts(database_now()))
