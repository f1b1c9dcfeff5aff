"""“May it?”: what a call of an agent would be answered, and why, for people. Nothing is run or counted."""

from collections.abc import Mapping
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminTextInputWidget

from observatory.admin_site import ObservatoryAdminSite
from observatory.explanation import Explanation, StageAnswer, explain, key_named
from telemetry.admin.acts import operator_of
from telemetry.recorder import Subject, record_event
from telemetry.visible import visible
from tools.admin.json_field import JsonObjectField
from tools.admin.tags import BAD, CAREFUL, EFFECT_TONES, GOOD, NOTE
from tools.models import AgentKey, Policy, Tool
from tools.policy.effects import Effect
from tools.reasons import reason

MAY_EXPLAIN = "tools.explain_access"
KEYS_OFFERED = 500
_VERDICTS: Mapping[str, tuple[str, str]] = {
    "allow": ("Yes: it would run", GOOD),
    "dry_run": ("Only simulated: nothing would run", NOTE),
    "hold": ("It would wait for a person", CAREFUL),
    "replay": ("The stored answer would be given again", NOTE),
    "deny": ("No: it would be denied", BAD),
}
_STAGES: Mapping[str, str] = {
    "authenticate": "Is the key good?",
    "kill_switch": "Is anything frozen?",
    "rate_limit": "Has it calls left?",
    "resolve_tool": "Does the key see the tool?",
    "session_guard": "Does the session allow it?",
    "schema_guard": "Do the arguments fit?",
    "policy": "What do the rules say?",
    "idempotency": "Was it called before?",
    "input_guardrails": "Is the input clean?",
    "risk_gate": "Must somebody agree?",
}
_ANSWERS = {"pass": ("goes on", GOOD), "deny": ("denies", BAD), "hold": ("holds", CAREFUL), "replay": ("replays", NOTE)}
_SAID = {
    "matched": ("yes", GOOD),
    "not_matched": ("no", ""),
    "error": ("can't be decided", BAD),
    "not_selected": ("not about it", ""),
}


class MayItForm(forms.Form):
    key = forms.CharField(
        max_length=120,
        label="Agent key",
        help_text="An agent's name, or its key's public id; with a name alone, its newest key.",
        widget=UnfoldAdminTextInputWidget({"list": "agent-keys", "autocomplete": "off", "spellcheck": "false"}),
    )
    tool = forms.CharField(
        max_length=120,
        help_text="As the agent would call it, e.g. create_ticket; also one that does not exist.",
        widget=UnfoldAdminTextInputWidget({"list": "known-tools", "autocomplete": "off", "spellcheck": "false"}),
    )
    arguments = JsonObjectField(
        empty={}, required=False, rows=6, help_text='e.g. {"query": "ACME"}; empty is {}. They are not stored.'
    )

    def clean_key(self) -> AgentKey:
        typed: str = self.cleaned_data["key"]
        keys = AgentKey.objects.select_related("agent", "owner", "policy")
        wanted = typed.rpartition("·")[2].strip()
        key = keys.filter(public_id=wanted).first() or keys.filter(agent__name=wanted).order_by("-created_at").first()
        if key is None:
            raise ValidationError("No agent and no key has this name.", code="unknown_key")
        return key


@require_http_methods(["GET", "HEAD", "POST"])
def may_it(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """GET: the form, filled in from ?key=, ?tool=, ?arguments=. POST: the answer below it, and one audit event."""
    if not request.user.has_perm(MAY_EXPLAIN):
        raise PermissionDenied
    asked = request.method == "POST"
    given = {name: request.GET[name] for name in ("key", "tool", "arguments") if name in request.GET}
    form = MayItForm(request.POST) if asked else MayItForm(initial=given)
    context = site.each_context(request) | {
        "title": "May it?",
        "form": form,
        "keys": _keys_offered(),
        "tools": Tool.objects.values_list("name", flat=True),
        "answer": _answer(request, form) if asked and form.is_valid() else None,
    }
    return TemplateResponse(request, "admin/may_it.html", context)


def _keys_offered() -> list[dict[str, str]]:
    now = timezone.now()
    keys = AgentKey.objects.select_related("agent", "policy").order_by("agent__name", "-created_at")[:KEYS_OFFERED]
    return [
        {"value": str(key), "label": f"{key.state(now)} · {key.policy.name if key.policy else 'no policy'}"}
        for key in keys
    ]


def _answer(request: HttpRequest, form: MayItForm) -> dict[str, Any]:
    key, tool = form.cleaned_data["key"], form.cleaned_data["tool"]
    view = key_named(key.public_id)
    unusable = _why_unusable(key)
    found = explain(view, tool, form.cleaned_data["arguments"], timezone.now()) if view and not unusable else None
    verdict = found.verdict if found else "deny"
    with transaction.atomic():
        record_event(
            "access.explained",
            operator_of(request),
            Subject("agent_key", str(key.pk), f"{key.agent.name} {key.public_id}"),
            data={"tool": tool[:64], "verdict": verdict},
        )
    headline, tone = _VERDICTS[verdict]
    shown = {"key": key, "tool": visible(tool), "unusable": unusable, "headline": headline, "tone": tone}
    return shown | (_shown(found) if found else {"code": "unauthenticated"})


def _why_unusable(key: AgentKey) -> str:
    """Why every call with the key answers 401; empty where it works."""
    now = timezone.now()
    if key.revoked_at:
        return f"The key was revoked at {key.revoked_at:%Y-%m-%d %H:%M:%S} UTC."
    if key.expires_at and key.expires_at <= now:
        return f"The key expired at {key.expires_at:%Y-%m-%d %H:%M:%S} UTC."
    if not key.owner.is_active:
        return f"The account of the key's owner, {key.owner.get_username()}, is switched off."
    return ""


def _shown(found: Explanation) -> dict[str, Any]:
    policy = Policy.objects.filter(name=found.policy).first()
    stopped = next((stage for stage in found.stages if stage.verdict in ("deny", "hold", "replay")), None)
    return {
        "code": found.code,
        # “The call ran” is what the word means on a record; here nothing ran.
        "meaning": reason(found.code).meaning if found.verdict == "deny" else "",
        "status": reason(found.code).status,
        "detail": visible(found.detail),
        "policy": policy,
        "revision": found.revision,
        "rule": visible(found.rule),
        "invisible_because": visible(str(stopped.facts.get("invisible_because", ""))) if stopped else "",
        "stages": [_shown_stage(number, stage) for number, stage in enumerate(found.stages, start=1)],
        "rules": [_shown_rule(rule) for rule in found.rules],
    }


def _shown_stage(number: int, stage: StageAnswer) -> dict[str, Any]:
    word, tone = _ANSWERS.get(stage.verdict, ("not asked", ""))
    return {
        "number": number,
        "name": stage.stage,
        "question": _STAGES.get(stage.stage, stage.stage.replace("_", " ")),
        "word": word,
        "tone": tone,
        "code": stage.code,
        "detail": visible(stage.detail),
        "is_asked": stage.verdict != "not_asked",
    }


def _shown_rule(rule: Any) -> dict[str, Any]:
    word, tone = _SAID[rule.said.value]
    effect = Effect(rule.effect)
    return {
        "name": visible(rule.rule),
        "effect": effect.label,
        "effect_tone": EFFECT_TONES[effect],
        "word": word,
        "tone": tone,
        "is_about": rule.said.value != "not_selected",
        "because": [visible(sentence, block=True) for sentence in rule.because],
    }


cast(ObservatoryAdminSite, admin.site).add_page("may-it/", may_it, "may_it")
