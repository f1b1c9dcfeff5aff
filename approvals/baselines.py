"""A tool's approved prompt: one is in force at a time, and a proposal with another has drifted."""

import datetime as dt

from django.core.exceptions import ValidationError
from django.db import transaction

from approvals.models import PromptBaseline, Proposal
from approvals.scoring import prompt_hash
from telemetry.recorder import Actor, Subject, record_event
from telemetry.redaction import redact_text
from telemetry.visible import visible
from tools.models import Tool

LONGEST_PROMPT = 20_000
# What is shown of it; the hash is of the whole.
_PROMPT_KEPT = 2_000
_NOTE_KEPT = 300


def approve_baseline(tool: Tool, prompt: str, note: str, actor: Actor, now: dt.datetime) -> PromptBaseline:
    """The prompt is the tool's baseline, and the one before it is retired. Raises ValidationError: it says nothing new.

    Locks: the tool's row, so that two approvals come one after the other.
    """
    digest = prompt_hash(prompt)
    if not digest:
        raise ValidationError({"prompt": "A baseline is a prompt; this one is empty."})
    return _approved(tool, digest, masked(prompt), note, actor, now)


def approve_prompt_of(proposal: Proposal, prompt: str, note: str, actor: Actor, now: dt.datetime) -> PromptBaseline:
    """As above, of the prompt that the proposal came with: the one whose hash is on its record, and no other."""
    if not proposal.prompt_hash:
        raise ValidationError("The proposal came without a prompt.")
    if prompt_hash(prompt) != proposal.prompt_hash:
        raise ValidationError("This is not the prompt that the proposal came with.")
    return _approved(proposal.tool, proposal.prompt_hash, masked(prompt), note, actor, now)


def retire_baseline(baseline: PromptBaseline, actor: Actor, now: dt.datetime, why: str = "") -> bool:
    """No prompt is the tool's baseline, so drift counts no more; False where it was retired already."""
    with transaction.atomic():
        if not PromptBaseline.objects.in_force().filter(pk=baseline.pk).update(retired_at=now):
            return False
        record_event("baseline.retired", actor, _subject(baseline), data=_facts(baseline) | {"why": why}, now=now)
    return True


def masked(prompt: str) -> str:
    """The prompt as it is stored: known forms of secrets masked, nothing hidden in it, cut."""
    return visible(redact_text(prompt, _PROMPT_KEPT), block=True)


def _approved(tool: Tool, digest: str, shown: str, note: str, actor: Actor, now: dt.datetime) -> PromptBaseline:
    with transaction.atomic():
        Tool.objects.select_for_update(no_key=True).get(pk=tool.pk)
        before = PromptBaseline.objects.in_force().filter(tool=tool).first()
        if before is not None and before.prompt_hash == digest:
            raise ValidationError("This prompt is in force already.")
        if before is not None:
            retire_baseline(before, actor, now, "another prompt was approved")
        baseline = PromptBaseline.objects.create(
            tool=tool,
            prompt_hash=digest,
            prompt_masked=shown,
            note=visible(note)[:_NOTE_KEPT],
            approved_by=actor.name,
            approved_at=now,
        )
        record_event(
            "baseline.approved", actor, _subject(baseline), data=_facts(baseline) | {"note": baseline.note}, now=now
        )
    return baseline


def _subject(baseline: PromptBaseline) -> Subject:
    return Subject("prompt_baseline", str(baseline.pk), baseline.tool.name)


def _facts(baseline: PromptBaseline) -> dict[str, str]:
    return {"prompt_sha256": baseline.prompt_hash}
