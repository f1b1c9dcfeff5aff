import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db.models import Case, Count, F, Model, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from approvals.actions import decide, is_eligible, is_own
from approvals.dispatch import run_soon
from approvals.models import PendingAction, Vote
from approvals.states import Status
from telemetry.admin.acts import Act, ActsAdmin, ReasonForm, operator_of
from telemetry.admin.audit import records_of
from telemetry.canonical import parse
from telemetry.encryption import CannotOpen
from telemetry.recorder import Subject, show_payload
from telemetry.redaction import redact
from telemetry.visible import pretty, visible
from telemetry.wording import ago, left
from tools.contract import Stop
from tools.idempotency import stored_answer
from tools.reasons import reason

LABELS = {
    Status.PENDING.label: "warning",
    Status.APPROVED.label: "info",
    Status.EXECUTING.label: "info",
    Status.DONE.label: "success",
    Status.FAILED.label: "danger",
    Status.UNKNOWN.label: "danger",
    Status.REJECTED.label: "danger",
    Status.EXPIRED.label: "",
    Status.CANCELLED.label: "",
    Status.REVOKED.label: "danger",
}
REFUSALS = {
    "already_decided": "It was decided meanwhile.",
    "action_expired": "The time to decide is over.",
    "own_request": "Your own agent asked for this. Somebody else must agree.",
    "already_voted": "You have voted on this already; one person, one vote.",
    "voter_not_eligible": "Your vote does not count here: the policy names other groups.",
    "unknown_action": "Your vote does not count here: the policy names other groups.",
    "stale_digest": "This page showed other arguments than the action has. Read it again.",
}
# A subquery is run for the rows of one page; a join would count for every row of the table.
AGREED = Coalesce(
    Subquery(
        Vote.objects.filter(pending_action=OuterRef("pk"), approve=True)
        .order_by()
        .values("pending_action")
        .annotate(number=Count("pk"))
        .values("number")
    ),
    0,
)
NO_LONGER_KEPT = "The full arguments are not kept any more. What follows is masked."


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
    return "" if is_eligible(pending, user) else REFUSALS["voter_not_eligible"]


def may_reject(pending: PendingAction, user: Any) -> bool:
    """Who may approve may reject; and a person may always take back what their own agent asked for, if eligible."""
    return why_not(pending, user) in ("", REFUSALS["own_request"]) and is_eligible(pending, user)


def _masked(pending: PendingAction) -> str:
    return pretty(parse(pending.args_masked.encode()))


def _owner_of(pending: PendingAction) -> str:
    owner = get_user_model()._default_manager.filter(pk=pending.owner_id).first()
    return owner.get_username() if owner else f"account {pending.owner_id}, which is gone"


def _risk(pending: PendingAction) -> str:
    words = [pending.tool.get_risk_display().lower()]
    words += ["can't be undone"] if pending.tool.irreversible else []
    words += ["uses the network"] if pending.tool.network != pending.tool.Network.NO else []
    return ", ".join(words)


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


@admin.register(PendingAction)
class PendingActionAdmin(ActsAdmin):
    list_display = ("tool", "agent", "status_label", "asked", "time_left", "approvals", "rule_seen")
    list_select_related = ("tool", "agent")
    list_filter = (("status", ChoicesDropdownFilter), ("tool", RelatedDropdownFilter), ("agent", RelatedDropdownFilter))
    search_fields = ("trace_id",)
    search_help_text = "An action's id or a trace id, exactly."
    # What waits comes first, the most urgent of it at the top.
    ordering = (
        Case(When(status=Status.PENDING, then=F("expires_at"))).asc(nulls_last=True),
        "-created_at",
    )
    actions_detail = ("approve", "reject")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PendingAction]:
        rows: QuerySet[PendingAction] = super().get_queryset(request)
        return rows.annotate(agreed=AGREED)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[PendingAction], search_term: str
    ) -> tuple[QuerySet[PendingAction], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if len(term) == 36:
            return queryset.filter(pk=term) if _is_uuid(term) else queryset.none(), False
        return queryset.filter(trace_id=term), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Those with the permission see all; who may decide an action sees that one."""
        allowed: bool = super().has_view_permission(request, obj)
        return allowed or (isinstance(obj, PendingAction) and is_eligible(obj, request.user))

    # the record

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        pending = self._readable(request, object_id)
        if request.method != "GET":
            return HttpResponse(status=405, headers={"Allow": "GET"})
        sentence, arguments = self._arguments(request, pending)
        context = {
            **self.admin_site.each_context(request),
            "title": str(pending),
            "opts": self.opts,
            "original": pending,
            "status_label": pending.get_status_display(),
            "status_look": LABELS[pending.get_status_display()],
            "facts": self._facts(pending),
            "arguments_note": sentence,
            "arguments": arguments,
            "votes": pending.votes.all(),
            "why_not": why_not(pending, request.user) if pending.status == Status.PENDING else "",
            "may_decide": not why_not(pending, request.user),
            "may_reject": may_reject(pending, request.user),
            "events_link": records_of("auditevent", pending.trace_id),
            "media": self.media,
        }
        return TemplateResponse(request, "approvals/pending_action.html", context)

    def _readable(self, request: HttpRequest, object_id: str) -> PendingAction:
        pending = self.get_object(request, object_id)
        if not isinstance(pending, PendingAction) or not self.has_view_permission(request, pending):
            raise Http404
        return pending

    def _arguments(self, request: HttpRequest, pending: PendingAction) -> tuple[str, str]:
        """What the tool would get, for this reader: in full, each reading on record, or masked. With a sentence."""
        entitled = request.user.has_perm("telemetry.view_payload") or is_eligible(pending, request.user)
        if not entitled:
            return "Masked: only those who decide, or may read payloads, see them in full.", _masked(pending)
        if pending.arguments is None:
            return NO_LONGER_KEPT, _masked(pending)
        try:
            about = Subject("pending_action", str(pending.pk), pending.tool.name)
            content = show_payload(pending.arguments, operator_of(request), about, pending.trace_id)
        except CannotOpen:
            return "The full arguments can't be opened with the present keys. What follows is masked.", _masked(pending)
        return "In full, exactly as they would be run. That you read them is on record.", pretty(parse(content))

    def _facts(self, pending: PendingAction) -> tuple[tuple[str, Any], ...]:
        version, revision = pending.tool_version, pending.policy_revision
        return (
            ("Asked by", f"{pending.agent.name}, key {pending.agent_key.public_id}"),
            ("Answers for it", _owner_of(pending)),
            ("Tool", f"{pending.tool.name}, version {version.number}"),
            ("What it does", visible(version.description) or "not described"),
            ("Goes to", str(getattr(pending.tool, "http_endpoint", ""))),
            ("Risk", _risk(pending)),
            ("Held by", f"{visible(pending.rule)} (policy {visible(revision.policy.name)} r{revision.number})"),
            ("Needs", f"{pending.quorum} of " + (", ".join(pending.eligible_groups) or "those who may decide actions")),
            ("Own requests", "may be approved" if pending.self_confirm else "somebody else must agree"),
            ("Asked", f"{pending.created_at:%Y-%m-%d %H:%M:%S} UTC, {ago(pending.created_at)}"),
            *self._end_of(pending),
            ("Trace", pending.trace_id),
            ("SHA-256", pending.args_digest),
        )

    def _end_of(self, pending: PendingAction) -> tuple[tuple[str, Any], ...]:
        """Until when it can be decided; or when it was, why it ended so, and what came of it."""
        if pending.status == Status.PENDING:
            return (("Decide before", f"{pending.expires_at:%Y-%m-%d %H:%M:%S} UTC, {left(pending.expires_at)}"),)
        decided = f"{pending.decided_at:%Y-%m-%d %H:%M:%S} UTC" if pending.decided_at else "never"
        why = reason(pending.reason).meaning if pending.reason else ""
        stored = stored_answer(pending.result)
        result = pretty(redact(stored["body"]).value) if stored and pending.status == Status.DONE else ""
        return (("Decided", decided), ("Ended because", why), ("Result, masked", result))

    # deciding

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """The buttons stand beside the arguments on the record's page, not in its head."""
        return []

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
        pending = self._readable(request, object_id)
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
                self._tell(request, answer)
                return redirect("admin:approvals_pendingaction_change", pending.pk)
            refused = f"{REFUSALS.get(answer.code, answer.reason.meaning)} Nothing was changed."
            status = answer.reason.status
            form = DecisionForm(initial={"seen_digest": pending.args_digest})
        return self._decision_page(request, pending, form, approve=approve, refused=refused, status=status)

    def _tell(self, request: HttpRequest, answer: Any) -> None:
        pending = answer.action
        if answer.approved:
            told = run_soon(pending.pk)
            messages.success(
                request, "Approved; it runs within seconds." if told else "Approved; the next sweep runs it."
            )
        elif answer.rejected:
            messages.success(request, "Rejected; it will not run, and the agent is told so.")
        else:
            messages.info(request, f"Your vote counts: {answer.approvals} of {pending.quorum}.")

    def _decision_page(
        self, request: HttpRequest, pending: PendingAction, form: Any, *, approve: bool, refused: str, status: int
    ) -> HttpResponse:
        sentence, arguments = self._arguments(request, pending)
        missing = pending.quorum - pending.votes.filter(approve=True).count()
        if not approve:
            consequences: tuple[str, ...] = (
                "The call does not run, whoever has agreed before, and the agent is told that it was rejected.",
            )
        elif missing <= 1:
            consequences = (
                f"{pending.tool.name} runs within seconds, once, with exactly these arguments.",
                "It does not run if the policy, the key or a freeze says otherwise by then.",
            )
        else:
            consequences = (f"Your vote counts; {missing - 1} more must agree before it runs.",)
        act = Act(
            title=f"{'Approve' if approve else 'Reject'}: {pending}",
            facts=self._facts(pending)[:6],
            consequences=(*consequences, "Your vote can't be taken back."),
            button="Approve" if approve else "Reject",
            danger=not approve,
            block_title=f"Arguments. {sentence}",
            block=arguments,
        )
        return self.act_page(request, pending, act, form, refused=refused, status=status)

    # columns

    @display(description="Status", label=LABELS)
    def status_label(self, pending: PendingAction) -> str:
        return pending.get_status_display()

    @display(description="Asked", ordering="created_at")
    def asked(self, pending: PendingAction) -> str:
        return ago(pending.created_at)

    @display(description="Time left", ordering="expires_at")
    def time_left(self, pending: PendingAction) -> str:
        return left(pending.expires_at) if pending.status == Status.PENDING else ""

    @display(description="Approvals")
    def approvals(self, pending: Any) -> str:
        return f"{pending.agreed} of {pending.quorum}"

    @display(description="Rule")
    def rule_seen(self, pending: PendingAction) -> str:
        return visible(pending.rule)
