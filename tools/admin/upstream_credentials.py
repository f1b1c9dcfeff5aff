"""Agents' own credentials at an upstream: stored, replaced, removed; never shown."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget

from telemetry.admin.acts import Act, operator_of
from telemetry.wording import ago
from tools.actions.upstreams import remove_agent_credential, store_agent_credential
from tools.admin.acting import ActingAdmin
from tools.admin.kill_switches import AgreementForm
from tools.admin.upstream_words import where_of
from tools.models import Agent, Upstream, UpstreamCredential

MAY_STORE = "tools.change_upstream"
_page = method_decorator(require_http_methods(["GET", "HEAD", "POST"]))


class CredentialForm(forms.Form):
    agent = forms.ModelChoiceField(
        Agent.objects.order_by("name"), widget=UnfoldAdminSelectWidget(), empty_label="Choose an agent"
    )
    secret = forms.CharField(
        label="Credential",
        max_length=4000,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
        help_text="e.g. Bearer 3f9c… It is stored encrypted and never shown again.",
    )


class CredentialPages(ActingAdmin):
    @_page
    def store_page(self, request: HttpRequest, upstream_id: int) -> HttpResponse:
        upstream = _changeable(request, upstream_id)
        if upstream.credential != Upstream.Credential.PER_AGENT:
            messages.error(request, f"{upstream} takes no credential of each agent's own. Nothing was stored.")
            return redirect("admin:tools_upstream_change", upstream.pk)
        initial = {"agent": request.GET.get("agent", "")}
        form = CredentialForm(request.POST if request.method == "POST" else None, initial=initial)
        if request.method == "POST" and form.is_valid():
            agent = form.cleaned_data["agent"]
            try:
                store_agent_credential(upstream, agent, form.cleaned_data["secret"], operator_of(request))
            except ValidationError as problem:
                form.add_error("secret", ValidationError(problem.messages))
            else:
                messages.success(request, f"Stored: {agent} shows its own credential to {upstream} from now on.")
                return redirect("admin:tools_upstream_change", upstream.pk)
        act = Act(
            title=f"Store an agent's credential for {upstream}",
            facts=(*_shown_where(upstream), ("Stored now", _stored(upstream))),
            consequences=(
                f"Calls of that agent show it to {upstream} from the next one on; no other agent's calls ever do.",
                "One that the agent has there already is replaced, and can't be brought back.",
            ),
            button="Store it",
        )
        return self.act_page(request, upstream, act, form, status=400 if form.errors else 200)

    @_page
    def remove_page(self, request: HttpRequest, upstream_id: int, credential_id: int) -> HttpResponse:
        upstream = _changeable(request, upstream_id)
        rows = UpstreamCredential.objects.select_related("agent", "upstream")
        credential = get_object_or_404(rows, pk=credential_id, upstream=upstream)
        if request.method == "POST":
            remove_agent_credential(credential, operator_of(request))
            messages.success(request, f"Removed: calls of {credential.agent} at {upstream} are refused from now on.")
            return redirect("admin:tools_upstream_change", upstream.pk)
        act = Act(
            title=f"Remove {credential.agent}'s credential at {upstream}",
            facts=(*_shown_where(upstream), ("Agent", credential.agent), ("Stored", ago(credential.changed_at))),
            consequences=(
                f"Calls of {credential.agent} to {upstream} are refused with credential_missing from the next one on.",
                "It is deleted here; it stays good at the upstream until it is revoked there.",
            ),
            button="Remove it",
            danger=True,
        )
        return self.act_page(request, upstream, act, AgreementForm())


def _changeable(request: HttpRequest, upstream_id: int) -> Upstream:
    if not request.user.has_perm(MAY_STORE):
        raise PermissionDenied
    return get_object_or_404(Upstream, pk=upstream_id)


def _shown_where(upstream: Upstream) -> tuple[tuple[str, Any], ...]:
    return (("Where", where_of(upstream)), ("Travels in", upstream.credential_name))


def _stored(upstream: Upstream) -> str:
    names = list(upstream.credentials.values_list("agent__name", flat=True)[:20])
    return ", ".join(names) or "for no agent"
