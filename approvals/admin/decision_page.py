"""One action is approved or rejected: a page that says what will happen, then the vote."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.decorators import action

from approvals.actions import Decided, decide, is_eligible, is_own
from approvals.admin.record import ActionRecord, who_asked
from approvals.dispatch import run_soon
from approvals.models import PendingAction
from approvals.states import Status
from approvals.transitions import changed_since
from approvals.wording import commit_within
from telemetry.admin.acts import Act, ReasonForm
from tools.contract import Stop
from tools.reasons import reason

REFUSALS = {
    "already_decided": "It was decided meanwhile.",
    "action_expired": "The time to decide is over.",
    "own_request": "Your own agent asked for this. Somebody else must agree.",
    "already_voted": "You have voted on this already; one person, one vote.",
    "voter_not_eligible": "Your vote does not count here: the policy names other groups.",
    "unknown_action": "Your vote does not count here: the policy names other groups.",
    "stale_digest": "This page showed other arguments than the action has. Read it again.",
}
CAN_NOT_RUN = "It could not run any more, so nobody can approve it; reject it, or let it expire."


class DecisionForm(ReasonForm):
    """A vote on exactly the arguments that were shown."""

    seen_digest = forms.CharField(widget=forms.HiddenInput())


def why_not(pending: PendingAction, user: Any) -> str:
    """Why this person can't approve it now, in words; empty where they can. What counts is decide()."""
    if pending.status != Status.PENDING:
        return f"{pending.get_status_display()}."
    if pending.expires_at <= timezone.now():
        return REFUSALS["action_expired"]
    if pending.votes.filter(operator=user).exists():
        return REFUSALS["already_voted"]
    if is_own(pending, user) and not pending.self_confirm:
        return REFUSALS["own_request"]
    if not is_eligible(pending, user):
        return REFUSALS["voter_not_eligible"]
    changed = changed_since(pending, timezone.now())
    return f"{CAN_NOT_RUN} {reason(changed).title}." if changed else ""


def may_reject(pending: PendingAction, user: Any) -> bool:
    """Who may approve may reject; and a person may always take back what their own agent asked for, if eligible."""
    refusal = why_not(pending, user)
    return (refusal in ("", REFUSALS["own_request"]) or refusal.startswith(CAN_NOT_RUN)) and is_eligible(pending, user)


def consequences(pending: PendingAction, *, approve: bool) -> tuple[str, ...]:
    """What this vote does, in sentences. Approving a proposal runs nothing: its agent's commit does."""
    if not approve and pending.proposal:
        return (f"{pending.agent.name} can't commit it, whoever has agreed before, and is told that it was rejected.",)
    if not approve:
        return ("The call does not run, whoever has agreed before, and the agent is told that it was rejected.",)
    agreed = pending.votes.filter(approve=True).count()
    if agreed + 1 < pending.quorum:
        then = "its agent may commit it" if pending.proposal else "it runs"
        missing = pending.quorum - agreed - 1
        return (f"Your vote counts as {agreed + 1} of {pending.quorum}; {missing} more must agree before {then}.",)
    if pending.proposal:
        return (
            f"Nothing runs yet: {pending.agent.name} is then given its commit token and has {commit_within(pending)}.",
            f"By that commit {pending.tool.name} runs, once, with exactly these arguments.",
        )
    return (
        f"{pending.tool.name} runs within seconds, once, with exactly these arguments.",
        "It does not run if the policy, the key or a freeze says otherwise by then.",
    )


def refusal_words(answer: Stop) -> str:
    return f"{REFUSALS.get(answer.code, answer.reason.meaning)} Nothing was changed."


def carry_out(answer: Decided) -> str:
    """What the vote set going, in words. A call is handed to a worker; a proposal waits for its agent's commit."""
    pending = answer.action
    if answer.rejected:
        return "Rejected; it will not run, and the agent is told so."
    if not answer.approved:
        return f"Your vote counts: {answer.approvals} of {pending.quorum}."
    if pending.proposal:
        return f"Approved; {pending.agent.name} is given its commit token and has {commit_within(pending)}."
    return "Approved; it runs within seconds." if run_soon(pending.pk) else "Approved; the next sweep runs it."


class DecisionPage(ActionRecord):
    @action(description="Approve", url_path="approve", permissions=["vote"])
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._decide(request, object_id, approve=True)

    @action(description="Reject", url_path="reject", permissions=["vote"])
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._decide(request, object_id, approve=False)

    def has_vote_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Anybody who may see the action may ask; decide() answers, and says why not."""
        return True

    def _decide(self, request: HttpRequest, object_id: str, *, approve: bool) -> HttpResponse:
        pending = self.readable(request, object_id)
        form = DecisionForm(
            request.POST if request.method == "POST" else None, initial={"seen_digest": pending.args_digest}
        )
        refused, status = "", 200
        if request.method == "POST" and form.is_valid():
            answer = decide(
                pending.pk,
                request.user,
                approve=approve,
                reason=form.cleaned_data["reason"],
                via="admin",
                now=timezone.now(),
                seen_digest=form.cleaned_data["seen_digest"],
            )
            if not isinstance(answer, Stop):
                counts = answer.approved or answer.rejected
                messages.add_message(request, messages.SUCCESS if counts else messages.INFO, carry_out(answer))
                return redirect("admin:approvals_pendingaction_change", pending.pk)
            refused, status = refusal_words(answer), answer.reason.status
            form = DecisionForm(initial={"seen_digest": pending.args_digest})
        sentence, arguments = self.arguments_for(request, pending)
        act = Act(
            title=f"{'Approve' if approve else 'Reject'}: {pending}",
            facts=tuple(fact for fact in who_asked(pending) if fact[1]),
            consequences=(*consequences(pending, approve=approve), "Your vote can't be taken back."),
            button="Approve" if approve else "Reject",
            danger=not approve,
            block_title=f"Arguments. {sentence}",
            block=arguments,
        )
        return self.act_page(request, pending, act, form, refused=refused, status=status)
