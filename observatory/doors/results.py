"""`GET /results/<handle>`: the rest of a result that was cut, for the agent whose call it was."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from observatory.doors import openapi
from observatory.doors.key_authentication import caller_of
from observatory.doors.problem import Refusal
from observatory.kept_results import read_kept_result
from tools.scopes import Scope


class ResultView(APIView):
    scope = Scope.TOOLS_CALL

    @openapi.result
    def get(self, request: Request, handle: str) -> HttpResponse:
        content = read_kept_result(handle, caller_of(request))
        if content is None:
            raise Refusal("not_found")
        return HttpResponse(content, content_type="application/json", headers={"Cache-Control": "no-store"})
