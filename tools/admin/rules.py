"""The rule editor. Reached from its policy; a rule is part of the draft and in force only once that is published."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Max, Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from telemetry.admin.acts import operator_of
from telemetry.admin.generic import AnyForm, AnyFormSet
from tools.actions.drafts import delete_rule, rule_problems, save_rule
from tools.admin.acting import ActingAdmin, rows_of
from tools.models import Policy, Rule, RuleCondition, Tool
from tools.policy.cel import CEL_HELP, ExpressionProblem, compile_expression
from tools.policy.conditions import Condition, Operator, condition_problem
from tools.policy.effects import Effect
from tools.policy.selectors import matches

# What belongs to one effect, and what it is for every other one.
_OF_ONE_EFFECT: Mapping[Effect, Mapping[str, list[str]]] = {
    Effect.RATE: {"rate": [""]},
    Effect.REDACT: {"redact_paths": [""]},
    Effect.REQUIRE_APPROVAL: {"quorum": ["1"], "expires_in_s": ["3600"], "groups": []},
}
_EXAMPLE = 'args.amount > 500.0 && agent.name != "billing".'
_HELP = {
    "name": "Decisions are explained by it, e.g. “Refunds over 500 wait for finance”.",
    "tools": "One a line: exactly, e.g. create_ticket, or with * (any run) and ? (one character), e.g. crm.*",
    "position": "e.g. 10, 20, 30. It decides which of several equal rules is named, never what is allowed.",
    "effect": (
        "Allow lets the call run. Deny stops it. Require approval: a person must agree first. Require two phases: only "
        "by a proposal and its commit. Dry run, redact and rate change how an allowed call runs; by themselves they "
        "allow nothing. Where several rules match, the strictest wins."
    ),
    "rate": "Most calls of one key in a time, e.g. 10/m for ten a minute; also 10/s, 1000/h, 5/10m (5 in ten minutes).",
    "redact_paths": "One path of the answer a line, e.g. customer.email; what is found there is masked.",
    "quorum": "How many people must agree, e.g. 2 for four eyes beside the agent's owner.",
    "groups": "Who may decide, e.g. finance. Empty: every operator who may decide actions.",
    "expires_in_s": "In seconds, e.g. 3600 for an hour, 86400 for a day. Nobody agreed by then: it expires.",
}


def at_caret(source: str, problem: ExpressionProblem) -> SafeString | str:
    """The message, and below it the line that it is about with a caret under the place."""
    if not problem.line:
        return problem.message
    line = (source.splitlines() or [""])[min(problem.line, len(source.splitlines()) or 1) - 1]
    start = max(0, problem.column - 60)
    return format_html(
        'Line {}, column {}: {}<pre class="caret">{}\n{}^</pre>',
        problem.line,
        problem.column,
        # What the grammar would have taken instead is a long list of its own words.
        problem.message.partition(" expecting {")[0],
        line[start : start + 100],
        " " * max(0, problem.column - 1 - start),
    )


class RuleForm(AnyForm):
    class Meta:
        model = Rule
        fields = (
            "name",
            "tools",
            "position",
            "effect",
            "rate",
            "redact_paths",
            "quorum",
            "groups",
            "expires_in_s",
            "expression",
        )

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(_without_ignored(data), *args, **kwargs)
        for name in ("expression", "tools", "redact_paths"):
            if name in self.fields:
                self.fields[name].widget.attrs |= {"rows": 3, "spellcheck": "false"}
                self.fields[name].widget.attrs["class"] += " code-input"

    def clean_expression(self) -> str:
        source: str = self.cleaned_data["expression"].replace("\r\n", "\n").strip()
        if source:
            try:
                compile_expression(source)
            except ExpressionProblem as problem:
                raise ValidationError(at_caret(source, problem), code="expression") from None
        return source

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's own forms extend it too
        for field, sentences in rule_problems(self.instance, ()).items():
            if field in self.fields and field not in self.errors:
                self.add_error(field, [ValidationError(sentence) for sentence in sentences])


def _without_ignored(data: Any) -> Any:
    """The form as sent, with what the chosen effect does not use at its default: hidden fields can't be wrong."""
    if not isinstance(data, QueryDict):
        return data
    found = data.copy()
    for effect, fields in _OF_ONE_EFFECT.items():
        if data.get("effect") != effect:
            for name, values in fields.items():
                found.setlist(name, values)
    return found


class ConditionForm(AnyForm):
    class Meta:
        model = RuleCondition
        fields = ("field", "operator", "value")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "operator" in self.fields:
            # A row that nobody touched is what a browser sends of it: the first choice and nothing else.
            self.fields["operator"].initial = Operator.EQUALS.value

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        field, operator = found.get("field"), found.get("operator")
        if field and operator:
            typed = Condition(field, Operator(operator), found.get("value", ""))
            if problem := condition_problem(typed):
                is_field = condition_problem(Condition(field, Operator.IS_PRESENT)) is not None
                self.add_error("field" if is_field else "value", problem)
        return found


class ConditionInline(TabularInline):
    model = RuleCondition
    form = ConditionForm
    verbose_name_plural = "Conditions: all must hold; without any, the rule always applies"
    hide_title = True

    def get_extra(self, request: HttpRequest, obj: Rule | None = None, **kwargs: Any) -> int:
        return 0 if obj and obj.conditions.exists() else 1


@admin.register(Rule)
class RuleAdmin(ActingAdmin):
    form = RuleForm
    inlines = [ConditionInline]
    filter_horizontal = ()
    change_form_outer_before_template = "admin/tools/rule/place.html"
    fieldsets = (
        ("What it is about", {"fields": ("name", "tools", "position")}),
        ("What it does", {"fields": ("effect",)}),
        ("How often", {"fields": ("rate",), "classes": ["only-for", "only-for-rate"]}),
        ("What is hidden from the answer", {"fields": ("redact_paths",), "classes": ["only-for", "only-for-redact"]}),
        (
            "Who must agree",
            {"fields": ("quorum", "groups", "expires_in_s"), "classes": ["only-for", "only-for-require_approval"]},
        ),
        ("When, where the conditions below are not enough", {"fields": ("expression",)}),
    )

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Rules are found on their policy's page; a list of all of them would tell nothing."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("tools.delete_rule")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:tools_policy_changelist"))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        last = Rule.objects.filter(policy=_policy_asked_for(request)).aggregate(last=Max("position"))["last"] or 0
        return {"position": last - last % 10 + 10}

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name in _HELP:
            field.help_text = _HELP[db_field.name]
        if field and db_field.name == "expression":
            examples = render_to_string("admin/tools/rule/cel_help.html", {"cel_help": CEL_HELP})
            field.help_text = format_html("Empty, or true where the rule applies, e.g. {}{}", _EXAMPLE, examples)
        if field and db_field.name == "groups":
            # A group is made by whoever may make one, not on the way through a rule.
            for offer in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
                setattr(field.widget, offer, False)
        return field

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        rule: Rule | None = kwargs.get("obj") or (args[3] if len(args) > 3 else None)
        policy = rule.policy if rule and rule.pk else _policy_asked_for(request)
        context |= {"policy": policy, "show_save_and_add_another": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def save_related(
        self,
        request: HttpRequest,
        form: RuleForm,
        formsets: list[AnyFormSet],
        change: bool,
    ) -> None:
        rule: Rule = form.instance
        if not change:
            rule.policy = _policy_asked_for(request)
        rows = rows_of(formsets[0] if formsets else None)
        if rows is None:
            conditions = [Condition(c.field, Operator(c.operator), c.value) for c in rule.conditions.all()]
        else:
            conditions = [Condition(row["field"], Operator(row["operator"]), row["value"]) for row in rows]
        save_rule(rule, operator_of(request), conditions=conditions, groups=form.cleaned_data["groups"])
        for selector in _selectors_of_nothing(rule):
            messages.warning(request, f"“{selector}” names no tool that is known today.")

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        delete_rule(obj, operator_of(request))

    def response_post_save_add(self, request: HttpRequest, obj: Rule) -> HttpResponse:
        return HttpResponseRedirect(_page_of(obj.policy_id))

    def response_post_save_change(self, request: HttpRequest, obj: Rule) -> HttpResponse:
        return HttpResponseRedirect(_page_of(obj.policy_id))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        rule = Rule.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        response: HttpResponse = super().delete_view(request, object_id, extra_context)
        return HttpResponseRedirect(_page_of(rule.policy_id)) if rule and response.status_code == 302 else response


def _page_of(policy_id: int) -> str:
    return reverse("admin:tools_policy_change", args=[policy_id])


def _policy_asked_for(request: HttpRequest) -> Policy:
    """A new rule's policy is in its address. Raises Http404 where it is not."""
    wanted = request.GET.get("policy", "")
    if not wanted.isdecimal():
        raise Http404("A rule is added from its policy's page.")
    return get_object_or_404(Policy, pk=wanted)


def _selectors_of_nothing(rule: Rule) -> list[str]:
    names = list(Tool.objects.values_list("name", flat=True))
    return [selector for selector in rule.selectors() if not any(matches([selector], name) for name in names)]
