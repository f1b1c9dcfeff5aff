"""Whether the installation lives (no key, no details) and whether it is ready (yes or no a part)."""

import time
from functools import lru_cache

from celery import current_app
from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from observatory.doors import openapi
from observatory.version import VERSION
from telemetry.models import Heartbeat
from telemetry.tasks import BEAT, BEAT_STALE


class HealthView(APIView):
    authentication_classes = ()
    permission_classes = ()

    @openapi.health
    def get(self, request: Request) -> Response:
        return Response({"ok": True, "version": VERSION})


class ReadyView(APIView):
    authentication_classes = ()
    permission_classes = ()

    @openapi.ready
    def get(self, request: Request) -> Response:
        parts = _parts(int(time.monotonic()))
        # A dead beat delays sweeps; it does not make calls unsafe, so a balancer need not take the process out.
        needed = all(parts[name] for name in ("database", "broker", "migrations"))
        return Response({"ok": needed, **parts}, status=200 if needed else 503)


@lru_cache(maxsize=1)
def _parts(second: int) -> dict[str, bool]:
    """Yes or no a part. Nobody needs a key to ask, so the parts are asked at most once a second."""
    return {"database": _database(), "broker": _broker(), "migrations": _migrations(), "beat": beat_lives()}


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return True
    except Exception:
        return False


def _broker() -> bool:
    try:
        cache.get("ready")
        with current_app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, timeout=2)
        return True
    except Exception:
        return False


def _migrations() -> bool:
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Exception:
        return False


def beat_lives() -> bool:
    try:
        return Heartbeat.objects.filter(name=BEAT, at__gt=timezone.now() - BEAT_STALE).exists()
    except Exception:
        return False
