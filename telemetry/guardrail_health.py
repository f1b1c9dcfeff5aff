"""Whether each detector can be asked, and what it lacks. Those elsewhere are asked a harmless sentence at times."""

from __future__ import annotations

import importlib.util
import time
from functools import lru_cache
from typing import Any

from django.utils import timezone

from telemetry.detectors.detector import Detector, DetectorUnavailable
from telemetry.detectors.registry import BUILT_IN
from telemetry.models import GuardrailSettings, Session
from telemetry.own_detectors import own_detectors

PROBE = "The quick brown fox jumps over the lazy dog."
ASKED_EVERY_S = 30
# What a session needs beside the product: its tools' schemas are checked, upstreams over WebSocket are called.
HARNESS_NEEDS = ("jsonschema_rs", "websockets")


def guardrail_health(harness_version: str) -> dict[str, Any]:
    """Shape: ok, modes, detectors, harness. `ok` is false where a detector that is to be asked can't be."""
    settings = GuardrailSettings.objects.first() or GuardrailSettings()
    detectors = [_built_in(one, set(settings.switched_off)) for one in BUILT_IN] + list(
        _remote(int(time.monotonic()) // ASKED_EVERY_S)
    )
    missing = [name for name in HARNESS_NEEDS if importlib.util.find_spec(name) is None]
    return {
        "ok": all(one["available"] or one["optional"] or one["switched_off"] for one in detectors) and not missing,
        "modes": {"sessions": settings.sessions_mode, "calls": settings.calls_mode},
        "detectors": detectors,
        "harness": {
            "available": not missing,
            "version": harness_version,
            "missing_dependencies": missing,
            "open_sessions": Session.objects.open().count(),
        },
        "checked_at": timezone.now().isoformat(),
    }


def _built_in(detector: Detector, off: set[str]) -> dict[str, Any]:
    missing = list(detector.missing())
    return _shown(detector) | {
        "available": not missing,
        "missing_dependencies": missing,
        # Comes with a package that not everybody installs.
        "optional": bool(missing),
        "switched_off": detector.name in off,
        "remote": False,
    }


def _shown(detector: Detector) -> dict[str, Any]:
    return {"name": detector.name, "category": str(detector.category), "version": detector.version}


@lru_cache(maxsize=1)
def _remote(period: int) -> tuple[dict[str, Any], ...]:
    """Each process asks once in a period, however often it is asked itself."""
    return tuple(
        _shown(one)
        | {"available": _answers(one), "missing_dependencies": [], "optional": False}
        | {"switched_off": False, "remote": True}
        for one in own_detectors()
    )


def _answers(detector: Detector) -> bool:
    try:
        detector.detect(PROBE, stage="health")
    except DetectorUnavailable:
        return False
    return True
