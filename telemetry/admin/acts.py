"""Acts of operators in admin: a page that says what will happen (GET), and the act itself (POST with its CSRF token).

A change made by the ordinary form goes through the same functions; what they refuse is shown at the field.
"""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from telemetry.admin.base import ListAdmin
from telemetry.recorder import Actor
from telemetry.visible import pretty

ACT_TEMPLATE = "telemetry/act.html"


@dataclass(frozen=True)
class Act:
    """What a page of an act says before anybody agrees. `consequences` are sentences; `facts` are (name, value)."""

    title: str
    consequences: tuple[str, ...]
    button: str
    facts: tuple[tuple[str, Any], ...] = ()
    danger: bool = False
    block_title: str = ""
    block: str = ""


class ReasonForm(forms.Form):
    """Why, in the operator's words; the audit trail keeps it."""

    reason = forms.CharField(
        required=False,
        max_length=300,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="The audit trail keeps it.",
    )


def operator_of(request: HttpRequest) -> Actor:
    return Actor("operator", str(request.user.pk), request.user.get_username())


def shown(value: Any) -> SafeString:
    """A value as indented JSON, whole, with every hidden character to be seen."""
    return format_html('<pre class="json-block">{}</pre>', pretty(value))


def events_about(kind: str, subject_id: str) -> str:
    """The list of audit events of one thing, under whichever trace."""
    return f"{reverse('admin:telemetry_auditevent_changelist')}?{urlencode({'subject': f'{kind}:{subject_id}'})}"


class ActsAdmin(ListAdmin):
    """A list whose rows are changed only by functions of an `actions` module: `save_model` calls one. No deletion.

    What such a function refuses (ValidationError) is shown in the form, at its field.
    """

    # What audit events call such a thing; its History is then its events, whoever caused them and by whichever door.
    subject_kind = ""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if self.subject_kind and request.user.has_perm("telemetry.view_auditevent"):
            return redirect(events_about(self.subject_kind, object_id))
        page: HttpResponse = super().history_view(request, object_id, extra_context)
        return page

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            page: HttpResponse = super().changeform_view(request, object_id, form_url, extra_context)
        except ValidationError as error:
            # The transaction is undone; the same form is shown again with what was refused.
            request.act_refused = error  # type: ignore[attr-defined]  # kept with its request
            page = super().changeform_view(request, object_id, form_url, extra_context)
        return page

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if not hasattr(request, "act_refused"):
            return form
        refused: ValidationError = request.act_refused

        class Refused(form):  # type: ignore[misc,valid-type]  # a base made at run time
            def _post_clean(self) -> None:
                super()._post_clean()
                self.add_error(None, _at_fields(refused, self.fields))

        return Refused

    def act_page(
        self, request: HttpRequest, obj: Any, act: Act, form: forms.Form, *, refused: str = "", status: int = 200
    ) -> HttpResponse:
        """What will happen, and the form that makes it happen."""
        context = {
            **self.admin_site.each_context(request),
            "title": act.title,
            "opts": self.opts,
            "original": obj,
            "act": act,
            "form": form,
            "refused": refused,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, ACT_TEMPLATE, context, status=status)


def _at_fields(error: ValidationError, fields: Any) -> ValidationError:
    """The same refusal, with what belongs to a field that the form does not show said above the form."""
    if not hasattr(error, "error_dict"):
        return error
    placed: dict[str, list[ValidationError]] = {}
    for name, errors in error.error_dict.items():
        placed.setdefault(name if name in fields else "__all__", []).extend(errors)
    return ValidationError(placed)
