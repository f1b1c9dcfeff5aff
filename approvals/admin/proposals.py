"""Proposals to read: what was asked, how it scored and why, what came of it."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import action, display

from approvals.admin.baselines import approval_act
from approvals.admin.record import LABELS
from approvals.admin.searching import by_id_or_trace
from approvals.admin.signals_table import signal_rows, verdict_words
from approvals.arguments import masked_document
from approvals.baselines import approve_prompt_of
from approvals.models import Commit, PromptBaseline, Proposal
from approvals.scoring import Signals, Weights, prompt_hash
from approvals.states import Status
from telemetry.admin.acts import ActsAdmin, ReasonForm, events_about, operator_of
from telemetry.admin.audit import trace_words
from telemetry.admin.time_filter import TimeRangeFilter
from telemetry.canonical import parse
from telemetry.encryption import CannotOpen
from telemetry.models import Payload
from telemetry.recorder import Subject, show_payload
from telemetry.visible import original, pretty, visible
from telemetry.wording import ago
from tools.admin.tags import BAD, GOOD
from tools.reasons import reason

ATTEMPTS_SHOWN = 50
ALLOWED = "Allowed"
PROMPT_NOT_WHOLE = (
    "Its prompt can't be shown to you whole, so it can't be approved here: the whole is for those who may read "
    "payloads, and is not kept for ever. Whoever has the prompt can approve it under Approved prompts."
)


@admin.register(Proposal)
class ProposalAdmin(ActsAdmin):
    subject_kind = "pending_action"  # of the same id; what happens to a proposal happens to its action
    list_display = ("tool", "agent", "status_label", "score", "source", "asked")
    list_select_related = ("tool", "agent", "action")
    list_filter = (
        ("blocked", BooleanRadioFilter),
        ("tool", RelatedDropdownFilter),
        ("agent", RelatedDropdownFilter),
        ("candidate_source", ChoicesDropdownFilter),
        ("created_at", TimeRangeFilter),
    )
    search_fields = ("trace_id",)
    search_help_text = "A proposal's id or a trace id, exactly."
    actions_detail = ("approve_prompt",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Proposal], search_term: str
    ) -> tuple[QuerySet[Proposal], bool]:
        return by_id_or_trace(queryset, search_term, "pk"), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    # the record

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        proposal = self._readable(request, object_id)
        if request.method != "GET":
            return HttpResponse(status=405, headers={"Allow": "GET"})
        status, signals, weights = _status_of(proposal), _signals_of(proposal), Weights(**proposal.weights)
        score = proposal.composite_score
        sentence, evidence = self._evidence(request, proposal)
        context = {
            **self.admin_site.each_context(request),
            "title": str(proposal),
            "opts": self.opts,
            "original": proposal,
            "status_label": status,
            "status_look": LABELS.get(status, ""),
            "verdict": verdict_words(signals, weights, score, proposal.block_at, blocked=proposal.blocked),
            "tone": BAD if proposal.blocked else GOOD,
            "signals": signal_rows(signals, weights, score),
            "block_at": f"{proposal.block_at:g}",
            "evidence_note": sentence,
            "evidence": evidence,
            "arguments": pretty(masked_document(proposal.args_masked)),
            "facts": _facts(proposal),
            "attempts": [_attempt(commit) for commit in _attempts_on(proposal)],
            "may_approve_prompt": bool(proposal.prompt_hash) and self.has_approve_prompt_permission(request),
            "is_baseline": _is_baseline(proposal),
            "events_link": events_about(self.subject_kind, str(proposal.pk)),
            "media": self.media,
        }
        return TemplateResponse(request, "approvals/proposal.html", context)

    def _readable(self, request: HttpRequest, object_id: str) -> Proposal:
        proposal = self.get_object(request, object_id)
        if not isinstance(proposal, Proposal) or not self.has_view_permission(request, proposal):
            raise Http404
        return proposal

    def _evidence(self, request: HttpRequest, proposal: Proposal) -> tuple[str, str]:
        """What was scored, for this reader: in full, the reading on record, or masked. With a sentence."""
        masked = proposal.prompt_masked or "No prompt was sent."
        if proposal.evidence_id is None:
            return "There was neither a prompt nor an output.", ""
        if not request.user.has_perm("telemetry.view_payload"):
            return "The prompt, masked: only those who may read payloads see it and the outputs in full.", masked
        if not Payload.objects.filter(pk=proposal.evidence_id).exists():
            return "The outputs are not kept any more. What follows is the prompt, masked.", masked
        evidence = _read_evidence(request, proposal)
        if evidence is None:
            return "The outputs can't be opened with the present keys. What follows is the prompt, masked.", masked
        return "In full, exactly as it was scored. That you read it is on record.", pretty(evidence)

    def _whole_prompt(self, request: HttpRequest, proposal: Proposal) -> str | None:
        """The prompt that the hash is of: as stored, where nothing of it was masked or cut; else for those who may."""
        stored = original(proposal.prompt_masked)
        if prompt_hash(stored) == proposal.prompt_hash:
            return stored
        if not request.user.has_perm("telemetry.view_payload"):
            return None
        evidence = _read_evidence(request, proposal)
        return str(evidence["prompt"]) if evidence else None

    # the one act that starts here

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """The button stands beside the prompt on the record's page, not in its head."""
        return []

    def has_approve_prompt_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("approvals.add_promptbaseline"))

    @action(description="Approve this prompt", url_path="approve-prompt", permissions=["approve_prompt"])
    def approve_prompt(self, request: HttpRequest, object_id: str) -> HttpResponse:
        proposal = self._readable(request, object_id)
        prompt = self._whole_prompt(request, proposal)
        if prompt is None:
            messages.error(request, f"{PROMPT_NOT_WHOLE} Nothing was changed.")
            return redirect("admin:approvals_proposal_change", proposal.pk)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        refused, status = "", 200
        if request.method == "POST" and form.is_valid():
            try:
                note = form.cleaned_data["reason"]
                baseline = approve_prompt_of(proposal, prompt, note, operator_of(request), timezone.now())
            except ValidationError as problem:
                refused, status = f"{' '.join(problem.messages)} Nothing was changed.", 409
            else:
                messages.success(request, f"Approved: proposals of {proposal.tool.name} are compared with it from now.")
                return redirect("admin:approvals_promptbaseline_change", baseline.pk)
        act = approval_act(proposal.tool, proposal.prompt_hash or "none", visible(prompt, block=True), whole=True)
        return self.act_page(request, proposal, act, form, refused=refused, status=status)

    # columns

    @display(description="Status", label={**LABELS, ALLOWED: "info"})
    def status_label(self, proposal: Proposal) -> str:
        return _status_of(proposal)

    @display(description="Score", ordering="composite_score")
    def score(self, proposal: Proposal) -> str:
        if proposal.composite_score is None:
            return "none"
        return f"{proposal.composite_score:.2f} (blocks at {proposal.block_at:g})"

    @display(description="Outputs from", ordering="candidate_source")
    def source(self, proposal: Proposal) -> str:
        return proposal.get_candidate_source_display()

    @display(description="Asked", ordering="created_at")
    def asked(self, proposal: Proposal) -> str:
        return ago(proposal.created_at)


def _read_evidence(request: HttpRequest, proposal: Proposal) -> dict[str, Any] | None:
    """What was scored, the reading on record; None where it is not kept any more or can't be opened."""
    payload = Payload.objects.filter(pk=proposal.evidence_id).first() if proposal.evidence_id else None
    if payload is None:
        return None
    about = Subject("proposal", str(proposal.pk), proposal.tool.name)
    try:
        content = show_payload(payload, operator_of(request), about, proposal.trace_id)
    except CannotOpen:
        return None
    found: dict[str, Any] = parse(content, max_bytes=len(content))
    return found


def _status_of(proposal: Proposal) -> str:
    """The word of its action; what nobody had to approve is not called approved."""
    pending = getattr(proposal, "action", None)
    if pending is None:
        return "not recorded"
    return ALLOWED if pending.status == Status.APPROVED and not pending.quorum else pending.get_status_display()


def _signals_of(proposal: Proposal) -> Signals:
    return Signals(proposal.output_instability, proposal.numeric_variance, proposal.prompt_drift)


def _is_baseline(proposal: Proposal) -> bool:
    in_force = PromptBaseline.objects.in_force()
    return in_force.filter(tool_id=proposal.tool_id, prompt_hash=proposal.prompt_hash).exists()


def _attempts_on(proposal: Proposal) -> QuerySet[Commit]:
    """The one that was accepted first, however many were refused since; then the newest."""
    attempts = Commit.objects.select_related("agent").filter(proposal_id=proposal.pk)
    return attempts.order_by("-accepted", "-created_at")[:ATTEMPTS_SHOWN]


def _attempt(commit: Commit) -> dict[str, Any]:
    return {
        "commit": commit,
        "word": "accepted" if commit.accepted else commit.reason,
        "tone": GOOD if commit.accepted else BAD,
        "meaning": "The token was spent with this." if commit.accepted else reason(commit.reason).meaning,
    }


def _facts(proposal: Proposal) -> tuple[tuple[str, Any], ...]:
    version, revision = proposal.tool_version, proposal.policy_revision
    tokens = [
        f"{token.pk}, signed by {token.signing_key.kid}, until {token.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        for token in proposal.tokens.select_related("signing_key")[:ATTEMPTS_SHOWN]
    ]
    return (
        ("Asked by", f"{proposal.agent.name}, key {proposal.agent_key.public_id}"),
        ("Asked", f"{proposal.created_at:%Y-%m-%d %H:%M:%S} UTC, {ago(proposal.created_at)}"),
        ("Tool", f"{proposal.tool.name}, version {version.number}"),
        ("Policy", f"{visible(revision.policy.name)} r{revision.number}"),
        ("Outputs from", proposal.get_candidate_source_display()),
        ("Compared with", f"the prompt approved {proposal.baseline.approved_at:%Y-%m-%d}" if proposal.baseline else ""),
        *(("Commit token", token) for token in tokens or ["none issued"]),
        ("Proposal", proposal.pk),
        ("Trace", trace_words(proposal.trace_id)),
        ("Session", visible(proposal.session_id)),
        ("Prompt, SHA-256", proposal.prompt_hash),
        ("Arguments, SHA-256", proposal.args_digest),
    )
