"""What the guarded call is measured against: the same server and database, with nothing in between."""

import json

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.demo.models import Customer, Message


@csrf_exempt
def bare_json(request: HttpRequest) -> HttpResponse:
    """Django's least: parse and answer."""
    return JsonResponse({"query": json.loads(request.body)["query"]})


class BareSearch(APIView):
    """What one would write without us: a DRF view that searches and writes one row."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        found = Customer.objects.filter(name__icontains=request.data["query"])[:50]
        results = [{"id": c.pk, "name": c.name, "status": c.status} for c in found]
        Message.objects.create(channel="audit", message="search")
        return Response({"results": results})


class SelectOne(APIView):
    """A DRF view with one round trip to the database."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return Response({"one": 1})


urlpatterns = [
    path("bare/json", bare_json),
    path("bare/search", BareSearch.as_view()),
    path("bare/one", SelectOne.as_view()),
    path("", include("observatory.urls")),
]
handler404 = "observatory.doors.plain_errors.not_found"
handler500 = "observatory.doors.plain_errors.server_error"
