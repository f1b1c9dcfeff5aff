"""From the rows that operators edit to what calls are read with: how strict, and by which detectors."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from telemetry.detectors.detector import Detector
from telemetry.detectors.registry import BUILT_IN
from telemetry.guardrails import Guardrails
from telemetry.models import GuardrailSettings
from telemetry.own_detectors import own_detectors


def of_sessions(settings: GuardrailSettings) -> Guardrails:
    """How strict every session is at least."""
    return Guardrails(settings.sessions_mode, _thresholds(settings))


def of_calls(settings: GuardrailSettings) -> Guardrails:
    """How strict it is for calls that name no session."""
    return Guardrails(settings.calls_mode, _thresholds(settings))


def _thresholds(settings: GuardrailSettings) -> MappingProxyType[str, float]:
    return MappingProxyType({name: getattr(settings, name) for name in GuardrailSettings.THRESHOLDS})


def installed_detectors(settings: GuardrailSettings) -> tuple[Detector, ...]:
    """The built-in ones that can be asked and are not switched off, then the operator's own, by name."""
    return (*_built_in(settings), *own_detectors())


def _built_in(settings: GuardrailSettings) -> Iterator[Detector]:
    off = set(settings.switched_off)
    return (detector for detector in BUILT_IN if detector.name not in off and not detector.missing())
