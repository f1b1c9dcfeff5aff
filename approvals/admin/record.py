"""One pending action as a page shows it: who asked for what, what it rests on, how it ended."""

import datetime as dt
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Model
from django.http import Http404, HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from approvals.actions import is_eligible
from approvals.arguments import full_arguments, masked_document
from approvals.models import ActionNotice, PendingAction, Proposal
from approvals.notices import ATTEMPTS
from approvals.states import BURNT, Status
from approvals.wording import risk_words, to_the_second
from telemetry.admin.acts import ActsAdmin, operator_of
from telemetry.admin.audit import trace_words
from telemetry.models import AuditEvent
from telemetry.recorder import Subject, show_payload
from telemetry.redaction import redact
from telemetry.visible import pretty, visible
from telemetry.wording import ago, left
from tools.idempotency import stored_answer
from tools.reasons import reason

Facts = tuple[tuple[str, Any], ...]
LABELS = {
    Status.PENDING.label: "warning",
    Status.APPROVED.label: "info",
    Status.EXECUTING.label: "info",
    Status.DONE.label: "success",
    Status.FAILED.label: "danger",
    Status.UNKNOWN.label: "danger",
    Status.REJECTED.label: "danger",
    Status.BLOCKED.label: "danger",
    Status.PROPOSED.label: "",
    Status.EXPIRED.label: "",
    Status.CANCELLED.label: "",
    Status.REVOKED.label: "danger",
}
NO_LONGER_KEPT = "The full arguments are not kept any more. What follows is masked."
RESOLVED = ("resolved_done", "resolved_failed")


class ActionRecord(ActsAdmin):
    """Who may read an action, and what they read of it."""

    subject_kind = "pending_action"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Those with the permission see all; who may decide an action sees that one."""
        allowed: bool = super().has_view_permission(request, obj)
        return allowed or (isinstance(obj, PendingAction) and is_eligible(obj, request.user))

    def readable(self, request: HttpRequest, object_id: str) -> PendingAction:
        pending = self.get_object(request, object_id)
        if not isinstance(pending, PendingAction) or not self.has_view_permission(request, pending):
            raise Http404
        return pending

    def arguments_for(self, request: HttpRequest, pending: PendingAction) -> tuple[str, str]:
        """What the tool would get, for this reader: in full, each reading on record, or masked. With a sentence."""
        entitled = request.user.has_perm("telemetry.view_payload") or is_eligible(pending, request.user)
        if not entitled:
            return "Masked: only those who decide, or may read payloads, see them in full.", _masked(pending)
        if pending.arguments is None:
            return NO_LONGER_KEPT, _masked(pending)
        about = Subject("pending_action", str(pending.pk), pending.tool.name)
        reader = operator_of(request)
        full = full_arguments(pending, lambda payload: show_payload(payload, reader, about, pending.trace_id))
        if full is None:
            return "The full arguments can't be opened with the present keys. What follows is masked.", _masked(pending)
        run = "were run" if pending.status in BURNT else "would be run"
        return f"In full, exactly as they {run}. That you read them is on record.", pretty(full)


def _masked(pending: PendingAction) -> str:
    return pretty(masked_document(pending.args_masked))


def who_asked(pending: PendingAction) -> Facts:
    """Who asked for what, and how it scored where it is a proposal."""
    version = pending.tool_version
    return (
        ("Asked by", f"{pending.agent.name}, key {pending.agent_key.public_id}"),
        ("Answers for it", _owner_of(pending)),
        ("Tool", f"{pending.tool.name}, version {version.number}"),
        ("What it does", visible(version.description) or "not described"),
        ("Goes to", str(getattr(pending.tool, "http_endpoint", ""))),
        ("Risk", risk_words(pending.tool)),
        *(_score_of(pending.proposal) if pending.proposal else ()),
    )


def facts_of(pending: PendingAction) -> Facts:
    """Everything but the arguments."""
    revision = pending.policy_revision
    return (
        *who_asked(pending),
        (
            "Held by" if pending.quorum else "By rule",
            f"{visible(pending.rule)} (policy {visible(revision.policy.name)} r{revision.number})",
        ),
        *_needs(pending),
        ("Asked", f"{to_the_second(pending.created_at)}, {ago(pending.created_at)}"),
        *_people_told(pending),
        *_end_of(pending),
        ("Trace", trace_words(pending.trace_id)),
        ("Action id", str(pending.pk)),
        ("SHA-256", pending.args_digest),
    )


def _needs(pending: PendingAction) -> Facts:
    if pending.quorum == 0:
        return (("Needs", "nobody’s agreement"),)
    return (
        ("Needs", f"{pending.quorum} of " + (", ".join(pending.eligible_groups) or "those who may decide actions")),
        ("Own requests", "may be approved" if pending.self_confirm else "somebody else must agree"),
    )


def _owner_of(pending: PendingAction) -> str:
    owner = get_user_model()._default_manager.filter(pk=pending.owner_id).first()
    return owner.get_username() if owner else f"account {pending.owner_id}, which is gone"


def _score_of(proposal: Proposal) -> Facts:
    signals = (
        ("output instability", proposal.output_instability),
        ("numeric variance", proposal.numeric_variance),
        ("prompt drift", proposal.prompt_drift),
    )
    present = " · ".join(f"{name} {value:.2f}" for name, value in signals if value is not None)
    score = "none" if proposal.composite_score is None else f"{proposal.composite_score:.2f}"
    return (
        ("Proposal", _proposal_link(proposal)),
        ("Score", f"{score}; blocked from {proposal.block_at:.2f}"),
        ("Signals", present or "none"),
        ("Candidate outputs", proposal.get_candidate_source_display()),
    )


def _proposal_link(proposal: Proposal) -> str:
    try:
        page = reverse("admin:approvals_proposal_change", args=[proposal.pk])
    except NoReverseMatch:
        return str(proposal.pk)
    return format_html('<a class="record-link" href="{}">{}</a>', page, proposal.pk)


def _people_told(pending: PendingAction) -> Facts:
    """Whether those who may decide were told; nothing where this installation tells nobody."""
    notice = ActionNotice.objects.filter(pending_action=pending).first()
    if notice is None:
        return ()
    if notice.sent_at:
        return (("People told", f"{notice.told}, {to_the_second(notice.sent_at)}"),)
    if notice.next_attempt_at is None:
        how = f"nobody: {notice.last_error}" if notice.last_error else "nobody: it was not waiting any more"
        return (("People told", how),)
    if not notice.last_error:
        return (("People told", "not yet"),)
    tries = f"attempt {notice.attempts} of {ATTEMPTS} failed, the next at {to_the_second(notice.next_attempt_at)}"
    return (("People told", f"not yet: {tries}. {notice.last_error}"),)


def _end_of(pending: PendingAction) -> Facts:
    """Until when it can be decided; or when it was, why it ended so, and what came of it."""
    if pending.status == Status.PENDING:
        return (("Decide before", f"{to_the_second(pending.expires_at)}, {left(pending.expires_at)}"),)
    decided = to_the_second(pending.decided_at) if pending.decided_at else "by nobody"
    stored = stored_answer(pending.result)
    has_answer = stored and pending.status == Status.DONE and pending.reason not in RESOLVED
    result = pretty(redact(stored["body"]).value) if stored and has_answer else ""
    return (("Decided", decided), ("Why", ended_because(pending)), ("Result, masked", result), *_finding(pending))


def ended_because(pending: PendingAction) -> str:
    if pending.status == Status.UNKNOWN and pending.reason in ("", "outcome_unknown"):
        return "The run did not report back in time; whether it ran is not known."
    return reason(pending.reason).meaning if pending.reason else ""


def _finding(pending: PendingAction) -> Facts:
    """Who settled it and on which evidence, from the event: that stays when the payload is gone."""
    if pending.reason not in RESOLVED:
        return ()
    moves = AuditEvent.objects.about("pending_action", str(pending.pk))
    event = moves.filter(type__in=["action.done", "action.failed"]).order_by("-id").first()
    if event is None:
        return ()
    when = to_the_second(event.occurred_at)
    return (
        ("Settled by", f"{visible(event.actor)}, {when}"),
        ("Evidence", visible(event.facts.get("why", ""), block=True)),
    )


def cut_off_at(pending: PendingAction) -> dt.datetime | None:
    """When it became unknown."""
    moves = AuditEvent.objects.about("pending_action", str(pending.pk)).filter(type="action.unknown")
    event = moves.order_by("-id").first()
    return event.occurred_at if event else None
