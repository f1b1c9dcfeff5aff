"""An action whose outcome is unknown is settled: what is known of it, then a person's finding."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import action
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextareaWidget

from approvals.actions import is_own
from approvals.admin.record import ActionRecord, Facts, cut_off_at, ended_because, who_asked
from approvals.models import PendingAction
from approvals.resolution import LONGEST_EVIDENCE, MAY_RESOLVE, SHORTEST_EVIDENCE, resolve
from approvals.states import Status
from approvals.wording import to_the_second
from telemetry.admin.acts import Act, events_about
from telemetry.admin.audit import records_of
from telemetry.wording import ago
from tools.contract import Stop
from tools.models import Tool

REFUSALS = {
    "already_decided": "It is not unknown any more.",
    "own_request": "Your own agent asked for this. Somebody else must settle it.",
}


class FindingForm(forms.Form):
    """What a person found out, and how they know."""

    done = forms.TypedChoiceField(
        label="What you found",
        choices=(("yes", "It was done"), ("no", "It was not done")),
        coerce=lambda word: word == "yes",
        widget=UnfoldAdminRadioSelectWidget,
    )
    evidence = forms.CharField(
        min_length=SHORTEST_EVIDENCE,
        max_length=LONGEST_EVIDENCE,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="Where you looked and what stands there. The audit trail keeps it; secrets in it are masked.",
    )

    def clean_evidence(self) -> str:
        return str(self.cleaned_data["evidence"]).replace("\r\n", "\n")


def may_settle(pending: PendingAction, user: Any) -> bool:
    return not why_not_settle(pending, user) and user.has_perm(MAY_RESOLVE)


def why_not_settle(pending: PendingAction, user: Any) -> str:
    """Why somebody else must settle it, in words; empty where this is not about four eyes. What counts is resolve()."""
    if pending.status != Status.UNKNOWN:
        return REFUSALS["already_decided"]
    return REFUSALS["own_request"] if is_own(pending, user) and not pending.self_confirm else ""


def _what_is_known(pending: PendingAction) -> Facts:
    moment = cut_off_at(pending)
    return (
        *(fact for fact in who_asked(pending) if fact[1]),
        ("Cut off", f"{to_the_second(moment)}, {ago(moment)}" if moment else "at an unknown time"),
        ("Why", ended_because(pending)),
        ("Look it up by", _known_by(pending)),
        ("Trace", _linked(records_of("auditevent", pending.trace_id), pending.trace_id)),
        ("On record", _linked(events_about("pending_action", str(pending.pk)), "Audit events of this action")),
    )


def _linked(address: str, words: str) -> str:
    return format_html('<a class="record-link" href="{}">{}</a>', address, words)


def _known_by(pending: PendingAction) -> str:
    if pending.tool.executor == Tool.Executor.HTTP:
        return f"Idempotency-Key {pending.pk}: the tool's own system was sent it with the call"
    return f"the arguments, the time and the trace; here it is action {pending.pk}"


class ResolutionPage(ActionRecord):
    @action(description="Settle", url_path="settle", permissions=["resolve"])
    def settle(self, request: HttpRequest, object_id: str) -> HttpResponse:
        pending = self.readable(request, object_id)
        form = FindingForm(request.POST if request.method == "POST" else None)
        refused, status = "", 200
        if request.method == "POST" and form.is_valid():
            found = form.cleaned_data
            answer = resolve(
                pending.pk, request.user, done=found["done"], evidence=found["evidence"], now=timezone.now()
            )
            if not isinstance(answer, Stop):
                messages.success(request, f"Settled: {'it was done' if found['done'] else 'it was not done'}.")
                return redirect("admin:approvals_pendingaction_change", pending.pk)
            words = REFUSALS.get(answer.code, answer.detail or answer.reason.meaning)
            refused, status = f"{words} Nothing was changed.", answer.reason.status
        sentence, arguments = self.arguments_for(request, pending)
        act = Act(
            title=f"Settle: {pending}",
            facts=_what_is_known(pending),
            consequences=(
                "Nothing runs, whatever you say here.",
                "The action ends as done or as definitely not done, and that stands for ever.",
                "A repeat of the agent's idempotency key is told what you found; without a finding it stays refused.",
            ),
            button="Settle",
            block_title=f"Arguments. {sentence}",
            block=arguments,
        )
        return self.act_page(request, pending, act, form, refused=refused, status=status)

    def has_resolve_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm(MAY_RESOLVE)
