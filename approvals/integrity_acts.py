"""What an operator sets about how a tool's proposals are scored."""

from typing import Any

from django.conf import settings as installation
from django.core.exceptions import ValidationError
from django.db import transaction

from approvals.candidates import model
from approvals.models import CandidateSource, IntegritySettings
from telemetry.recorder import Actor, Subject, record_event
from tools.actions.changes import changes
from tools.models import Tool

FIELDS = (
    "output_instability_weight",
    "numeric_variance_weight",
    "prompt_drift_weight",
    "block_at",
    "candidate_source",
    "commit_within_s",
)


def integrity_of(tool: Tool) -> IntegritySettings:
    """The tool's settings, or the defaults, which have no row yet."""
    return IntegritySettings.objects.filter(tool=tool).first() or IntegritySettings(tool=tool)


def save_integrity(settings: IntegritySettings, actor: Actor) -> dict[str, Any]:
    """The next proposal of the tool is scored by these; open ones keep their score. Answers what changed.

    Raises ValidationError. Locks: the tool's row, so that its risk can't change meanwhile.
    """
    settings.full_clean(validate_unique=False, validate_constraints=False)
    with transaction.atomic():
        tool = Tool.objects.select_for_update(no_key=True).get(pk=settings.tool_id)
        if problems := problems_of(settings, tool):
            raise ValidationError({field: [sentence] for field, sentence in problems.items()})
        before = integrity_of(tool)
        changed = changes(_values(before), _values(settings))
        if changed:
            settings.pk = before.pk
            settings.save(force_insert=before.pk is None)
            subject = Subject("integrity_settings", str(tool.pk), tool.name)
            record_event("integrity.changed", actor, subject, data=changed)
    return changed


def problems_of(settings: IntegritySettings, tool: Tool) -> dict[str, str]:
    """Why these settings can't stand for the tool. Shape: {field: sentence}."""
    source = _source_problem(settings.candidate_source, tool)
    return number_problems(settings) | ({"candidate_source": source} if source else {})


def number_problems(settings: IntegritySettings) -> dict[str, str]:
    """Why these numbers measure nothing, whatever the tool. Shape as above."""
    found = {}
    if not any(getattr(settings, name) for name in FIELDS if name.endswith("_weight")):
        found["output_instability_weight"] = "Give at least one signal a weight above 0."
    if settings.block_at <= 0:
        found["block_at"] = "Above 0: every proposal has a score of 0 or more, so 0 would block them all."
    return found


def _source_problem(source: str, tool: Tool) -> str:
    if source == CandidateSource.MODEL and not model.is_configured():
        return "No model endpoint is configured: set OBSERVATORY_MODEL_URL first."
    if installation.DEMO:
        return ""
    if source == CandidateSource.DEMO:
        return "The demonstration's generator is no model; it serves the demonstration only."
    if source == CandidateSource.CALLER and tool.risk == Tool.Risk.HIGH:
        return "The tool's risk is high: whoever asks must not bring the outputs that it is judged by."
    return ""


def _values(settings: IntegritySettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in FIELDS}
