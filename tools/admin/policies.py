"""Policies: the draft and its rules, what is in force, and the way from the one to the other."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timesince
from unfold.admin import TabularInline
from unfold.decorators import display

from telemetry.admin.acts import operator_of
from telemetry.admin.generic import AnyForm, AnyFormSet
from telemetry.admin.paging import UncountedChangeList
from tools.actions.drafts import save_policy
from tools.actions.policies import document_of, draft_of, draft_problems, sha256_of
from tools.admin import policy_pages
from tools.admin.acting import ActingAdmin, rows_of
from tools.admin.json_field import JsonObjectField
from tools.admin.policy_pages import shown_rule
from tools.admin.ready_made_page import ready_made_page
from tools.admin.tags import CAREFUL, GOOD, NOTE, tag, tags
from tools.models import AgentKey, Policy, PolicyExample, Tool

PUBLISH = "tools.publish_policy"
_SWITCH_TAGS = (
    ("self_confirm", "self-confirm", CAREFUL),
    ("no_network", "no network", GOOD),
    ("dry_run", "dry run", NOTE),
    ("tool_search", "tool search", NOTE),
)


class PolicyChangeList(UncountedChangeList):
    """Each policy of the page with its draft's digest and its count of keys, in a fixed number of queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        keys = Counter(AgentKey.objects.usable(timezone.now()).values_list("policy_id", flat=True))
        for policy in self.result_list:
            policy.draft_sha256 = sha256_of(document_of(policy, policy.rules.all()))
            policy.key_count = keys[policy.pk]


class InForceFilter(SimpleListFilter):
    title = "in force"
    parameter_name = "in_force"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return [("yes", "Published"), ("no", "Never published")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Policy]) -> QuerySet[Policy]:
        if self.value() is None:
            return queryset
        return queryset.filter(current_revision__isnull=self.value() == "no")


class ExampleForm(AnyForm):
    arguments = JsonObjectField(empty={}, required=False, rows=2, help_text='e.g. {"amount": "501.00"}')

    class Meta:
        model = PolicyExample
        fields = ("name", "tool", "arguments", "agent", "expected")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "expected" in self.fields:
            # A row that nobody touched is what a browser sends of it: the first choice and nothing else.
            self.fields["expected"].initial = PolicyExample.EXPECTED[0][0]


class ExampleInline(TabularInline):
    model = PolicyExample
    form = ExampleForm
    extra = 0
    verbose_name_plural = "Examples: calls, and what the policy must say of each before it can be published"

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name == "tool":
            field.widget.attrs["list"] = "known-tools"
        return field


@admin.register(Policy)
class PolicyAdmin(ActingAdmin):
    subject_kind = "policy"
    list_display = ("name", "in_force", "draft", "switches", "used_by", "description")
    list_filter = (InForceFilter, "self_confirm", "no_network", "dry_run", "tool_search")
    search_fields = ("name", "description", "rules__name", "rules__tools")
    list_select_related = ("current_revision",)
    inlines = [ExampleInline]
    change_form_outer_before_template = "admin/tools/policy/draft.html"
    fieldsets = (
        ("What it is for", {"fields": ("name", "description")}),
        ("Switches for every rule", {"fields": ("no_network", "dry_run", "self_confirm", "tool_search")}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name == "description":
            field.widget.attrs["rows"] = 2
            field.help_text = "e.g. What first-line support may do; ask the support lead."
        return field

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PolicyChangeList]:
        return PolicyChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Policy]:
        found: QuerySet[Policy] = super().get_queryset(request)
        return found.prefetch_related("rules__conditions", "rules__groups")

    def get_readonly_fields(self, request: HttpRequest, obj: Policy | None = None) -> Sequence[str]:
        return ("name",) if obj else ()

    def get_inlines(self, request: HttpRequest, obj: Policy | None) -> list[Any]:
        return self.inlines if obj else []

    def get_urls(self) -> list[URLPattern]:
        pages = (
            ("publish/", policy_pages.publish_page, "publish"),
            ("ready-made/", ready_made_page, "ready_made"),
            ("revisions/", policy_pages.revisions_page, "revisions"),
            ("revisions/<int:number>/", policy_pages.revision_page, "revision"),
            ("revisions/<int:number>/roll-back/", policy_pages.roll_back_page, "roll_back"),
        )
        own = [
            path(
                f"<int:policy_id>/{where}",
                self.admin_site.admin_view(page),
                {"site": self.admin_site},
                f"tools_policy_{name}",
            )
            for where, page, name in pages
        ]
        return [*own, *super().get_urls()]

    @display(description="in force")
    def in_force(self, policy: Policy) -> Any:
        revision = policy.current_revision
        if revision is None:
            return tag("never published", CAREFUL)
        when = timesince(revision.published_at, depth=1)
        return format_html("<b>r{}</b> · {} ago by {}", revision.number, when, revision.published_by)

    @display(description="draft")
    def draft(self, policy: Policy) -> Any:
        revision = policy.current_revision
        if revision is not None and revision.digest == getattr(policy, "draft_sha256", None):
            return "as in force"
        return tag("differs" if revision else "not published", CAREFUL)

    @display(description="switches")
    def switches(self, policy: Policy) -> Any:
        return tags((text, tone) for name, text, tone in _SWITCH_TAGS if getattr(policy, name))

    @display(description="used by")
    def used_by(self, policy: Policy) -> str:
        count: int = getattr(policy, "key_count", 0)
        return "1 key" if count == 1 else f"{count} keys" if count else "no key"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        policy = self.get_object(request, object_id)
        found = _draft_context(request, policy) if policy else {}
        response: HttpResponse = super().change_view(request, object_id, form_url, found | (extra_context or {}))
        return response

    def save_related(
        self,
        request: HttpRequest,
        form: AnyForm,
        formsets: list[AnyFormSet],
        change: bool,
    ) -> None:
        rows = rows_of(formsets[0] if formsets else None)
        names = ("name", "tool", "arguments", "agent", "expected")
        examples = None if rows is None else [{name: row[name] for name in names} for row in rows]
        save_policy(form.instance, operator_of(request), examples=examples)

    def response_add(self, request: HttpRequest, obj: Policy, post_url_continue: str | None = None) -> HttpResponse:
        """A new policy has no rule yet: its page is where one goes on."""
        response: HttpResponse = super().response_add(
            request, obj, post_url_continue or reverse("admin:tools_policy_change", args=[obj.pk])
        )
        return response

    def response_post_save_add(self, request: HttpRequest, obj: Policy) -> HttpResponse:
        return policy_pages.to_policy(obj)

    def response_post_save_change(self, request: HttpRequest, obj: Policy) -> HttpResponse:
        return policy_pages.to_policy(obj)


def _draft_context(request: HttpRequest, policy: Policy) -> dict[str, Any]:
    """What the top of a policy's page shows: what is in force, the draft's problems, its rules in words."""
    document = draft_of(policy)
    revision = policy.current_revision
    problems = draft_problems(policy)
    keys = AgentKey.objects.usable(timezone.now()).filter(policy=policy).select_related("agent")
    with_problems = {problem.rule_id for problem in problems}
    return {
        "policy": policy,
        "revision": revision,
        "differs": revision is None or revision.digest != sha256_of(document),
        "problems": problems,
        "rules": [shown_rule(rule) | {"has_problem": rule.id in with_problems} for rule in document.rules],
        "keys": keys[:20],
        "may_publish": request.user.has_perm(PUBLISH),
        "may_add_rule": request.user.has_perm("tools.add_rule"),
        "known_tools": Tool.objects.values_list("name", flat=True),
    }
