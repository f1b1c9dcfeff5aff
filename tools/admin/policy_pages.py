"""Pages of a policy beside its form: publish, revisions, roll back. GET shows what would happen; only POST does it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_safe
from unfold.widgets import UnfoldAdminTextInputWidget

from telemetry.admin.acts import operator_of
from telemetry.visible import pretty, visible
from tools.actions.policies import (
    ExampleResult,
    PublishRefused,
    draft_of,
    draft_problems,
    example_results,
    failure_sentence,
    publish,
    roll_back,
    sha256_of,
)
from tools.admin.tags import EFFECT_TONES
from tools.models import AgentKey, Policy, PolicyRevision
from tools.policy import words
from tools.policy.compiler import PolicyProblem, compile_policy
from tools.policy.difference import SWITCHES, Difference, RuleChange, difference
from tools.policy.document import DocumentProblem, PolicyDocument, RuleDocument

REVISIONS_SHOWN = 50
_CHANGE_TONES = {"added": "tag-good", "removed": "tag-bad", "changed": "tag-careful", "moved": "tag-note"}


class PublishForm(forms.Form):
    note = forms.CharField(
        max_length=300,
        required=False,
        label="Why (for the record)",
        help_text="e.g. Refunds over 500 wait for finance, as agreed on Monday.",
        widget=UnfoldAdminTextInputWidget(),
    )


def shown_rule(rule: RuleDocument) -> dict[str, Any]:
    """A rule for a table: what it is about, when it holds, what it does."""
    return {
        "id": rule.id,
        "name": visible(rule.name),
        "tools": [visible(tool) for tool in rule.tools],
        "conditions": [visible(condition, block=True) for condition in words.conditions(rule)],
        "effect": rule.effect.label,
        "tone": EFFECT_TONES[rule.effect],
        "terms": visible(words.terms(rule)),
    }


def shown_switches(document: PolicyDocument) -> list[str]:
    return [label for name, label in SWITCHES if getattr(document, name)]


def _shown_change(change: RuleChange) -> dict[str, Any]:
    parts = [
        {"part": p.part, "before": visible(p.before, block=True), "after": visible(p.after, block=True)}
        for p in change.parts
    ]
    tone = _CHANGE_TONES.get(change.change.value, "")
    return shown_rule(change.rule) | {"change": change.change.value, "change_tone": tone, "parts": parts}


def _shown_difference(found: Difference) -> dict[str, Any]:
    return {
        "is_empty": found.is_empty,
        "changes": [_shown_change(change) for change in found.changed],
        "switches": found.switches,
        "unchanged": [shown_rule(change.rule) for change in found.unchanged],
    }


def _shown_example(result: ExampleResult) -> dict[str, Any]:
    row = result.example
    return {
        "name": visible(row.name),
        "tool": visible(row.tool),
        "arguments": pretty(row.arguments),
        "expected": row.get_expected_display(),
        "passes": result.failure is None,
        "because": visible(failure_sentence(result.failure)) if result.failure else "",
    }


def document_of_revision(revision: PolicyRevision | None) -> PolicyDocument | None:
    """What was published, or None where it can't be read any more (then its raw JSON is shown)."""
    if revision is None:
        return None
    try:
        return PolicyDocument.from_json(revision.document)
    except DocumentProblem:
        return None


def to_policy(policy: Policy) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("admin:tools_policy_change", args=[policy.pk]))


def _allowed_policy(request: HttpRequest, policy_id: int, permission: str) -> Policy:
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return get_object_or_404(Policy.objects.select_related("current_revision"), pk=policy_id)


def _context(request: HttpRequest, site: AdminSite, policy: Policy, title: str) -> dict[str, Any]:
    return site.each_context(request) | {
        "title": title,
        "policy": policy,
        "may_publish": request.user.has_perm("tools.publish_policy"),
        "key_count": AgentKey.objects.filter(policy=policy, revoked_at=None).count(),
    }


@require_http_methods(["GET", "HEAD", "POST"])
def publish_page(request: HttpRequest, policy_id: int, site: AdminSite) -> HttpResponse:
    """GET: what exactly would change. POST with the draft's digest: it is in force, or why not is shown."""
    policy = _allowed_policy(request, policy_id, "tools.publish_policy")
    form = PublishForm(request.POST if request.method == "POST" else None)
    refused: list[str] = []
    if request.method == "POST" and form.is_valid():
        try:
            # Without a digest nobody saw what they publish: "?" is no draft's, so it is refused.
            seen = request.POST.get("sha256") or "?"
            revision = publish(policy, operator_of(request), note=form.cleaned_data["note"], sha256=seen)
        except PublishRefused as refusal:
            refused = refusal.problems
        else:
            text = format_html(
                "{} is in force as <b>r{}</b>: calls that start now meet it.", policy.name, revision.number
            )
            messages.success(request, text)
            return to_policy(policy)
    draft = draft_of(policy)
    context = _context(request, site, policy, f"Publish {policy.name}") | {
        "form": form,
        "refused": refused,
        "problems": draft_problems(policy),
        "sha256": sha256_of(draft),
        "difference": _shown_difference(difference(document_of_revision(policy.current_revision), draft)),
        "examples": _examples_of(policy, draft),
        "next_number": _next_number(policy),
    }
    return TemplateResponse(request, "admin/tools/policy/publish.html", context)


def _examples_of(policy: Policy, draft: PolicyDocument) -> list[dict[str, Any]]:
    try:
        program = compile_policy(draft)
    except PolicyProblem:
        return []
    return [_shown_example(result) for result in example_results(policy, program)]


def _next_number(policy: Policy) -> int:
    last = policy.revisions.order_by("-number").values_list("number", flat=True).first()
    return (last or 0) + 1


@require_safe
def revisions_page(request: HttpRequest, policy_id: int, site: AdminSite) -> HttpResponse:
    policy = _allowed_policy(request, policy_id, "tools.view_policy")
    revisions = policy.revisions.order_by("-number")
    before = request.GET.get("before", "")
    if before.isdecimal():
        revisions = revisions.filter(number__lt=int(before[:9]))
    rows = list(revisions[: REVISIONS_SHOWN + 1])
    context = _context(request, site, policy, f"Revisions of {policy.name}") | {
        "revisions": rows[:REVISIONS_SHOWN],
        "older": rows[REVISIONS_SHOWN - 1].number if len(rows) > REVISIONS_SHOWN else None,
    }
    return TemplateResponse(request, "admin/tools/policy/revisions.html", context)


@require_safe
def revision_page(request: HttpRequest, policy_id: int, number: int, site: AdminSite) -> HttpResponse:
    policy = _allowed_policy(request, policy_id, "tools.view_policy")
    revision = get_object_or_404(PolicyRevision, policy=policy, number=number)
    document = document_of_revision(revision)
    context = _context(request, site, policy, f"{policy.name} r{number}") | {
        "revision": revision,
        "rules": [shown_rule(rule) for rule in document.rules] if document else [],
        "is_readable": document is not None,
        "switches": shown_switches(document) if document else [],
        "raw": pretty(revision.document),
    }
    return TemplateResponse(request, "admin/tools/policy/revision.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def roll_back_page(request: HttpRequest, policy_id: int, number: int, site: AdminSite) -> HttpResponse:
    """GET: what rolling back would change. POST: done, as a new revision; or why not is shown."""
    policy = _allowed_policy(request, policy_id, "tools.publish_policy")
    revision = get_object_or_404(PolicyRevision, policy=policy, number=number)
    refused: list[str] = []
    if request.method == "POST":
        try:
            made = roll_back(policy, revision, operator_of(request))
        except PublishRefused as refusal:
            refused = refusal.problems
        else:
            text = format_html("{} is as it was at r{}, in force as <b>r{}</b>.", policy.name, number, made.number)
            messages.success(request, text)
            return to_policy(policy)
    document, draft = document_of_revision(revision), draft_of(policy)
    current = policy.current_revision
    context = _context(request, site, policy, f"Roll {policy.name} back to r{number}") | {
        "revision": revision,
        "refused": refused,
        "difference": _shown_difference(difference(document_of_revision(current), document)) if document else None,
        "loses_draft": current is None or current.digest != sha256_of(draft),
        "next_number": _next_number(policy),
    }
    return TemplateResponse(request, "admin/tools/policy/roll_back.html", context)
