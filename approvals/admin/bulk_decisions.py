"""Several actions decided at once: one page that shows each of them whole, then a vote on each, each on what was shown.

A vote of many is many votes: decide() is asked for each, and one that is refused holds up no other.
"""

import logging
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from approvals.actions import decide
from approvals.admin.decision_page import carry_out, consequences, may_reject, refusal_words, why_not
from approvals.admin.record import ActionRecord, Facts, who_asked
from approvals.models import PendingAction
from approvals.states import Status
from approvals.wording import arguments_line, to_the_second
from telemetry.admin.acts import ReasonForm
from telemetry.visible import visible
from telemetry.wording import left, seen
from tools.contract import Stop

log = logging.getLogger(__name__)
MOST = 50
LIST = "admin:approvals_pendingaction_changelist"
NOT_SHOWN = "It can't be shown here, so it can't be decided here either. Look at its own page."
# What came of one: the word in the summary, and its look.
APPROVED, VOTED, REJECTED, UNCHANGED = "approved", "voted on", "rejected", "not decided"
LOOKS = {APPROVED: "success", VOTED: "info", REJECTED: "success", UNCHANGED: "danger"}


@dataclass(frozen=True, slots=True)
class Selected:
    """One action on the page that asks."""

    pending: PendingAction
    facts: Facts
    arguments_note: str
    arguments: str
    happens: tuple[str, ...]
    refusal: str

    @property
    def seen(self) -> str:
        """What the form sends back: which action, and the digest of the arguments that were shown."""
        return f"{self.pending.pk}:{self.pending.args_digest}"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one action."""

    pending: PendingAction
    outcome: str
    sentence: str

    @property
    def asked_for(self) -> str:
        """What tells it from others of the same tool."""
        return seen(arguments_line(self.pending), 60)

    @property
    def look(self) -> str:
        return LOOKS[self.outcome]


class BulkDecisions(ActionRecord):
    actions = ("approve_selected", "reject_selected")

    def get_urls(self) -> list[URLPattern]:
        def decided(approve: bool) -> Any:
            def view(request: HttpRequest) -> HttpResponse:
                return self._decide_all(request, approve=approve)

            return self.admin_site.admin_view(view)

        mine = [
            path("approve-selected/", decided(True), name="approvals_pendingaction_approve_selected"),
            path("reject-selected/", decided(False), name="approvals_pendingaction_reject_selected"),
        ]
        return [*mine, *super().get_urls()]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Whether anything on the list could be this person's to decide."""
        if request.user.has_perm("approvals.decide_pendingaction"):
            return True
        groups = list(request.user.groups.values_list("name", flat=True))
        return PendingAction.objects.waiting().filter(eligible_groups__overlap=groups).exists()

    @admin.action(description="Approve…", permissions=["decide"])
    def approve_selected(self, request: HttpRequest, rows: QuerySet[PendingAction]) -> HttpResponse | None:
        return self._ask_of_all(request, rows, approve=True)

    @admin.action(description="Reject…", permissions=["decide"])
    def reject_selected(self, request: HttpRequest, rows: QuerySet[PendingAction]) -> HttpResponse | None:
        return self._ask_of_all(request, rows, approve=False)

    # asking

    def _ask_of_all(
        self, request: HttpRequest, rows: QuerySet[PendingAction], *, approve: bool, form: ReasonForm | None = None
    ) -> HttpResponse | None:
        chosen = list(self._whole(rows)[: MOST + 1])
        if len(chosen) > MOST:
            messages.error(request, f"At most {MOST} at a time. Nothing was decided.")
            return None
        visible_ones = [pending for pending in chosen if self.has_view_permission(request, pending)]
        asked = [self._asked(request, pending, approve=approve) for pending in visible_ones]
        decidable = sum(not one.refusal for one in asked)
        verb = "Approve" if approve else "Reject"
        context = {
            **self.admin_site.each_context(request),
            "title": f"{verb} {decidable} of {len(asked)} actions" if len(asked) != 1 else f"{verb} an action",
            "opts": self.opts,
            "asked": asked,
            "decidable": decidable,
            "approve": approve,
            "form": form or ReasonForm(),
            "media": self.media,
        }
        return TemplateResponse(request, "approvals/bulk_decision.html", context)

    def _whole(self, rows: QuerySet[PendingAction]) -> QuerySet[PendingAction]:
        """With everything that its page shows, so that fifty do not cost fifty times that."""
        return rows.select_related(
            "agent", "agent_key", "tool_version", "tool__http_endpoint", "proposal", "arguments"
        ).select_related("policy_revision__policy")

    def _asked(self, request: HttpRequest, pending: PendingAction, *, approve: bool) -> Selected:
        """The action as it is shown. A fault with this one is said in its place; the others are shown."""
        try:
            return self._selected(request, pending, approve=approve)
        except Exception:
            log.exception("action %s could not be shown", pending.pk)
            return Selected(pending, (), "", "", (), NOT_SHOWN)

    def _selected(self, request: HttpRequest, pending: PendingAction, *, approve: bool) -> Selected:
        sentence, arguments = self.arguments_for(request, pending)
        refusal = why_not(pending, request.user)
        if not approve and may_reject(pending, request.user):
            refusal = ""
        return Selected(
            pending=pending,
            facts=_short_facts(pending),
            arguments_note=sentence,
            arguments=arguments,
            happens=() if refusal else consequences(pending, approve=approve),
            refusal=refusal,
        )

    # deciding

    def _decide_all(self, request: HttpRequest, *, approve: bool) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        shown = _shown(request.POST.getlist("seen"))
        if not 1 <= len(shown) <= MOST:
            messages.error(request, f"Choose 1 to {MOST} actions. Nothing was decided.")
            return redirect(LIST)
        rows = self.get_queryset(request).filter(pk__in=shown).order_by(*self.get_ordering(request))
        form = ReasonForm(request.POST)
        if not form.is_valid():
            asked_again = self._ask_of_all(request, rows, approve=approve, form=form)
            return asked_again or redirect(LIST)
        found = [pending for pending in self._whole(rows) if self.has_view_permission(request, pending)]
        why = form.cleaned_data["reason"]
        results = [_decided(pending, request.user, shown[pending.pk], approve=approve, why=why) for pending in found]
        return self._results_page(request, results)

    def _results_page(self, request: HttpRequest, results: list[Result]) -> HttpResponse:
        counted = Counter(result.outcome for result in results)
        summary = ", ".join(f"{counted[word]} {word}" for word in LOOKS if counted[word])
        context = {
            **self.admin_site.each_context(request),
            "title": summary[:1].upper() + summary[1:] or "Nothing was decided",
            "opts": self.opts,
            "results": results,
            "media": self.media,
        }
        return TemplateResponse(request, "approvals/bulk_results.html", context)


def _short_facts(pending: PendingAction) -> Facts:
    shown = ("Asked by", "Answers for it", "What it does", "Goes to", "Risk", "Score", "Signals", "Candidate outputs")
    before = f"{to_the_second(pending.expires_at)}, {left(pending.expires_at)}"
    return (
        *(fact for fact in who_asked(pending) if fact[0] in shown and fact[1]),
        ("Held by", visible(pending.rule)),
        *((("Decide before", before),) if pending.status == Status.PENDING else ()),
    )


def _shown(values: list[str]) -> dict[uuid.UUID, str]:
    """The digest that was shown for each action; what is no such pair is as if not there."""
    found: dict[uuid.UUID, str] = {}
    for value in values:
        action_id, _, digest = value.partition(":")
        try:
            found[uuid.UUID(action_id)] = digest
        except ValueError:
            continue
    return found


def _decided(pending: PendingAction, user: Any, digest: str, *, approve: bool, why: str) -> Result:
    """One vote and what it set going. A fault with this one is said, and the next is decided all the same."""
    try:
        answer = decide(
            pending.pk, user, approve=approve, reason=why, via="admin", now=timezone.now(), seen_digest=digest
        )
        if isinstance(answer, Stop):
            return Result(pending, UNCHANGED, refusal_words(answer))
        outcome = APPROVED if answer.approved else REJECTED if answer.rejected else VOTED
        return Result(pending, outcome, carry_out(answer))
    except Exception:
        log.exception("action %s could not be decided", pending.pk)
        return Result(pending, UNCHANGED, "It failed on our side. Look at its own page before you try again.")
