"""A policy's page of ready-made rules. GET shows what each would add to the draft; only POST adds it."""

from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods

from telemetry.admin.acts import operator_of
from telemetry.visible import visible
from tools.actions.drafts import add_ready_made
from tools.actions.policies import draft_of
from tools.admin.policy_pages import to_policy
from tools.models import Policy
from tools.policy.ready_made import READY_MADE, ready_made, tools_let_through


@require_http_methods(["GET", "HEAD", "POST"])
def ready_made_page(request: HttpRequest, policy_id: int, site: AdminSite) -> HttpResponse:
    """GET: the rules that can be added. POST with the key of one: it is in the draft, and not in force yet."""
    if not request.user.has_perm("tools.add_rule"):
        raise PermissionDenied
    policy = get_object_or_404(Policy, pk=policy_id)
    if request.method == "POST":
        return _added(request, policy)
    document = draft_of(policy)
    there = {rule.expression for rule in document.rules}
    context: dict[str, Any] = site.each_context(request) | {
        "title": f"Ready-made rules for {policy.name}",
        "policy": policy,
        "tools": [visible(tool) for tool in tools_let_through(document)],
        "rules": [{"rule": one, "is_there": one.expression in there} for one in READY_MADE],
    }
    return TemplateResponse(request, "admin/tools/policy/ready_made.html", context)


def _added(request: HttpRequest, policy: Policy) -> HttpResponse:
    chosen = ready_made(request.POST.get("rule", ""))
    if chosen is None:
        raise Http404
    try:
        rule = add_ready_made(policy, chosen, operator_of(request))
    except ValidationError as problem:
        messages.error(request, " ".join(problem.messages))
    else:
        messages.success(request, f"“{rule.name}” is in the draft; it is in force once the draft is published.")
    return to_policy(policy)
