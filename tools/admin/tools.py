"""Tools: what they declare, what operators set, and HTTP tools that are described here."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from telemetry.admin.acts import operator_of
from telemetry.admin.generic import AnyForm, AnyFormSet
from telemetry.admin.paging import UncountedChangeList
from telemetry.visible import pretty, visible
from tools.actions.tools import check_name, endpoint_problems, save_http_tool, save_tool, schema_problem
from tools.admin.acting import ActingAdmin
from tools.admin.json_field import JsonObjectField
from tools.admin.tags import BAD, CAREFUL, GOOD, NOTE, tag, tags
from tools.admin.upstream_filter import UpstreamFilter
from tools.admin.upstream_words import STATUS_MEANINGS, status_tag
from tools.models import HttpEndpoint, Tool, ToolVersion, UpstreamTool
from tools.registry import Declaration
from tools.snapshot import Snapshot, current

VERSIONS_SHOWN = 20
_RISK_TONES = {"low": GOOD, "medium": CAREFUL, "high": BAD}
_EXAMPLE_SCHEMA = {
    "type": "object",
    "properties": {"order_id": {"type": "string", "description": "The order's number, e.g. A-1002."}},
    "required": ["order_id"],
    "additionalProperties": False,
}
_SETTINGS = (
    ("Who may call it", {"fields": ("enabled", "requires_approval", "requires_two_phase", "accepts_confirm")}),
    ("What it does", {"fields": ("risk", "network", "read_only", "idempotent", "irreversible")}),
    ("What comes in and goes out by it", {"fields": ("brings_untrusted_text", "brings_private_data", "sends_outside")}),
    ("Limits", {"fields": ("rate", "timeout_s", "result_limit_bytes")}),
    ("Calling it twice", {"fields": ("supports_idempotency_key", "requires_idempotency_key")}),
)
_DECLARATION = (
    "What agents are told",
    {
        "fields": ("title", "description", "input_schema", "output_schema"),
        "description": "A change here is a new version; agents see it with their next listing.",
    },
)
_ENDPOINT = ("Where calls go", {"fields": ("method", "url", "secret_header", "secret")})


class HttpToolForm(AnyForm):
    """An HTTP tool whole: settings, declaration, endpoint. The secret goes in and never comes out."""

    title = forms.CharField(
        max_length=120, required=False, widget=UnfoldAdminTextInputWidget(), help_text="e.g. Find an order"
    )
    description = forms.CharField(
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
        help_text="Agents choose by it, e.g. Finds one order by its number and answers its state and its lines.",
    )
    input_schema = JsonObjectField(help_text="JSON Schema of the arguments; the root is an object. Nothing is fetched.")
    output_schema = JsonObjectField(
        required=False, rows=4, help_text="JSON Schema of the answer; may be empty. An answer that does not fit fails."
    )
    method = forms.ChoiceField(choices=HttpEndpoint.Method.choices, widget=UnfoldAdminSelectWidget())
    url = forms.CharField(
        label="URL",
        max_length=500,
        widget=UnfoldAdminTextInputWidget(),
        help_text=HttpEndpoint._meta.get_field("url").help_text,
    )
    secret_header = forms.CharField(
        max_length=60,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Header that carries the credential, e.g. Authorization. Clear it to forget a stored secret.",
    )
    secret = forms.CharField(
        max_length=4000, required=False, strip=True, widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"})
    )

    class Meta:
        model = Tool
        fields = ("name", *(name for _, options in _SETTINGS for name in options["fields"]))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        tool: Tool | None = kwargs.get("instance")
        self.endpoint = HttpEndpoint.objects.filter(tool=tool).first() if tool and tool.pk else None
        kwargs["initial"] = _initial(tool, self.endpoint) | (kwargs.get("initial") or {})
        super().__init__(*args, **kwargs)
        if "secret" in self.fields:
            stored = self.endpoint is not None and self.endpoint.sealed_secret is not None
            self.fields["secret"].help_text = (
                "A secret is stored. Leave this empty to keep it; what you type replaces it. It is never shown."
                if stored
                else "e.g. Bearer 3f9c… It is stored encrypted and never shown again."
            )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        try:
            check_name(name)
        except ValidationError as problem:
            raise ValidationError(problem.messages) from None
        return name

    def clean_input_schema(self) -> Any:
        return _checked(self.cleaned_data["input_schema"])

    def clean_output_schema(self) -> Any:
        return _checked(self.cleaned_data["output_schema"])

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if found.get("url") and found.get("input_schema") is not None:
            endpoint, secret = self.endpoint_as_typed(), found.get("secret")
            for field, problem in endpoint_problems(endpoint, found["input_schema"], secret=secret).items():
                self.add_error(field, problem)
        return found

    def endpoint_as_typed(self) -> HttpEndpoint:
        endpoint = self.endpoint or HttpEndpoint()
        for name in ("method", "url", "secret_header"):
            setattr(endpoint, name, self.cleaned_data.get(name, ""))
        return endpoint

    def declaration(self) -> Declaration:
        tool, found = self.instance, self.cleaned_data
        return Declaration(
            name=tool.name,
            title=found["title"],
            description=found["description"],
            input_schema=found["input_schema"],
            output_schema=found["output_schema"],
            annotations={
                "readOnlyHint": tool.read_only,
                "destructiveHint": tool.irreversible,
                "idempotentHint": tool.idempotent or tool.read_only,
                "openWorldHint": tool.network != Tool.Network.NO,
            },
            settings={},
        )


def _initial(tool: Tool | None, endpoint: HttpEndpoint | None) -> dict[str, Any]:
    version = tool.current_version if tool else None
    if version is None:
        return {"input_schema": _EXAMPLE_SCHEMA, "method": "POST"}
    told = {name: getattr(version, name) for name in ("title", "description", "input_schema", "output_schema")}
    where = {name: getattr(endpoint, name) for name in ("method", "url", "secret_header")} if endpoint else {}
    return told | where


def _checked(schema: Any) -> Any:
    if schema is not None and (problem := schema_problem(schema)):
        raise ValidationError(problem, code="schema")
    return schema


class UpstreamOfToolFilter(UpstreamFilter):
    where = "upstream_tool__upstream"


class ToolChangeList(UncountedChangeList):
    """Each tool of the page with the number of usable keys that see it, from one snapshot."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        snapshot = current()
        for tool in self.result_list:
            tool.seen_by = len(keys_that_see(snapshot, tool.name))


def keys_that_see(snapshot: Snapshot, tool_name: str) -> list[str]:
    """Usable keys to which some rule could allow the tool, as “agent · public id”. A policy is asked once."""
    tool = snapshot.tools.get(tool_name)
    if tool is None or not tool.is_accepted:
        return []
    now = timezone.now()
    usable = [key for key in snapshot.keys.values() if key.usable(now)]
    one_a_policy = {key.policy_id: key for key in usable}
    seeing = {policy_id for policy_id, key in one_a_policy.items() if snapshot.visible(key, tool).visible}
    return sorted(f"{key.agent_name} · {key.public_id}" for key in usable if key.policy_id in seeing)


@admin.register(Tool)
class ToolAdmin(ActingAdmin):
    subject_kind = "tool"
    list_display = ("name", "executor_words", "risk_label", "may_do", "version", "is_enabled", "seen_by_keys", "rate")
    list_filter = (
        "enabled",
        "executor",
        UpstreamOfToolFilter,
        "risk",
        "read_only",
        "irreversible",
        "network",
        "requires_approval",
    )
    search_fields = ("name", "current_version__title", "current_version__description")
    list_select_related = ("current_version", "upstream_tool__upstream")
    change_form_outer_before_template = "admin/tools/tool/upstream.html"
    change_form_outer_after_template = "admin/tools/tool/declaration.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ToolChangeList]:
        return ToolChangeList

    def _is_described_here(self, request: HttpRequest, tool: Tool | None) -> bool:
        """The declaration is part of the form: for HTTP tools, and for those who may change it."""
        if tool is None:
            return True
        return tool.executor == Tool.Executor.HTTP and self.has_change_permission(request, tool)

    def get_fieldsets(self, request: HttpRequest, obj: Tool | None = None) -> Any:
        name = (None, {"fields": ("name",)})
        if self._is_described_here(request, obj):
            return (name, _DECLARATION, _ENDPOINT, *_SETTINGS)
        return (name, *_SETTINGS)

    def get_readonly_fields(self, request: HttpRequest, obj: Tool | None = None) -> Sequence[str]:
        return ("name",) if obj else ()

    def get_form(self, request: HttpRequest, obj: Tool | None = None, change: bool = False, **kwargs: Any) -> Any:
        if self._is_described_here(request, obj):
            kwargs["form"] = HttpToolForm
        return super().get_form(request, obj, change=change, **kwargs)

    def save_related(
        self,
        request: HttpRequest,
        form: AnyForm,
        formsets: list[AnyFormSet],
        change: bool,
    ) -> None:
        tool, actor = form.instance, operator_of(request)
        if isinstance(form, HttpToolForm):
            secret = form.cleaned_data["secret"] or None
            save_http_tool(tool, form.declaration(), form.endpoint_as_typed(), actor, secret=secret)
        else:
            save_tool(tool, actor)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        tool = self.get_object(request, object_id)
        found = _declaration_context(tool) if tool else {}
        response: HttpResponse = super().change_view(request, object_id, form_url, found | (extra_context or {}))
        return response

    @display(description="kind", ordering="executor")
    def executor_words(self, tool: Tool) -> str:
        return tool.get_executor_display()

    @display(description="risk", ordering="risk")
    def risk_label(self, tool: Tool) -> Any:
        return tag(tool.get_risk_display(), _RISK_TONES[tool.risk])

    @display(description="what it may do")
    def may_do(self, tool: Tool) -> Any:
        words = [
            (tool.read_only, "read-only", GOOD),
            (tool.irreversible, "irreversible", BAD),
            (tool.network == Tool.Network.YES, "network", CAREFUL),
            (tool.network == Tool.Network.UNDECLARED, "network?", CAREFUL),
            (tool.requires_approval, "needs approval", NOTE),
            (tool.requires_two_phase, "two phases", NOTE),
        ]
        return tags((word, tone) for is_so, word, tone in words if is_so)

    @display(description="version")
    def version(self, tool: Tool) -> str:
        return f"v{tool.current_version.number}" if tool.current_version else "–"

    @display(description="enabled", ordering="enabled")
    def is_enabled(self, tool: Tool) -> Any:
        if not tool.enabled:
            return tag("off", BAD)
        offered = _offered(tool)
        if offered is None or offered.is_callable:
            return tag("on", GOOD)
        return status_tag(offered)

    @display(description="visible to")
    def seen_by_keys(self, tool: Tool) -> Any:
        count: int = getattr(tool, "seen_by", 0)
        return "1 key" if count == 1 else f"{count} keys" if count else tag("nobody", CAREFUL)


def _offered(tool: Tool) -> UpstreamTool | None:
    """What its upstream offers under its name, for a tool that has one."""
    found: UpstreamTool | None = getattr(tool, "upstream_tool", None)
    return found


def _declaration_context(tool: Tool) -> dict[str, Any]:
    """What agents are told of a tool, with nothing in it invisible, and the versions before."""
    endpoint = HttpEndpoint.objects.filter(tool=tool).first()
    versions = list(tool.versions.order_by("-number")[:VERSIONS_SHOWN])
    keys = keys_that_see(current(), tool.name)
    offered = _offered(tool)
    return {
        "offered": offered,
        "offered_tag": status_tag(offered) if offered else "",
        "offered_meaning": STATUS_MEANINGS[UpstreamTool.Status(offered.status)] if offered else "",
        "declared": _shown_version(tool.current_version) if tool.current_version else None,
        "versions": [_shown_version(version) for version in versions],
        "endpoint": {"line": visible(str(endpoint)), "header": visible(endpoint.secret_header)} if endpoint else None,
        "secret_is_stored": endpoint is not None and endpoint.sealed_secret is not None,
        "keys": keys[:50],
        "key_count": len(keys),
        "is_python": tool.executor == Tool.Executor.PYTHON,
    }


def _shown_version(version: ToolVersion) -> dict[str, Any]:
    return {
        "number": version.number,
        "created_at": version.created_at,
        "digest": version.digest,
        "title": visible(version.title),
        "description": visible(version.description, block=True),
        "input_schema": pretty(version.input_schema),
        "output_schema": pretty(version.output_schema) if version.output_schema is not None else "",
        "annotations": pretty(version.annotations),
    }
