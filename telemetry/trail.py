"""Audit events as JSON lines, to a file or stdout, after the transaction that wrote them."""

import json
import logging
import os
import sys
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from telemetry.models import Heartbeat

log = logging.getLogger(__name__)
FAILURES = "audit-trail"


def line(event: dict[str, Any]) -> bytes:
    """One line of ASCII JSON: no character of the event can start another line."""
    return (json.dumps(event, ensure_ascii=True, separators=(",", ":")) + "\n").encode()


def write(event: dict[str, Any]) -> None:
    """The event stands in the trail; a failure is logged and counted, and the event stays in the database."""
    target = settings.AUDIT_TRAIL
    if not target:
        return
    try:
        if target == "-":
            sys.stdout.buffer.write(line(event))
            sys.stdout.buffer.flush()
        else:
            _append(target, line(event))
    except (OSError, ValueError):
        log.exception("audit trail: event %s was not written", event["id"])
        _count_failure()


def _append(path: str, data: bytes) -> None:
    # One write to a file opened for append: lines of several processes do not mix.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        written = os.write(descriptor, data)
        if written != len(data):
            raise OSError(f"wrote {written} of {len(data)} bytes")
    finally:
        os.close(descriptor)


def _count_failure() -> None:
    with transaction.atomic():
        Heartbeat.objects.get_or_create(name=FAILURES, defaults={"at": timezone.now()})
        Heartbeat.objects.filter(name=FAILURES).update(failures=models.F("failures") + 1, at=timezone.now())
