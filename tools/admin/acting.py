"""Forms whose saving is an act of tools/actions: check, change and event together. The form itself saves nothing."""

from typing import Any

from django.db.models import Model
from django.http import HttpRequest

from telemetry.admin.acts import ActsAdmin
from telemetry.admin.generic import AnyForm, AnyFormSet

PAGE_STYLE = "observatory/policy.css"
PAGE_SCRIPT = "observatory/policy.js"


class ActingAdmin(ActsAdmin):
    """`save_related` of each admin calls its act, since only there all parts of the form are known."""

    class Media:
        css = {"all": [PAGE_STYLE]}
        js = [PAGE_SCRIPT]

    def save_model(self, request: HttpRequest, obj: Model, form: AnyForm, change: bool) -> None:
        """Left to `save_related`."""

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """One thing at a time: after saving, its page says what comes next."""
        context |= {"show_save_and_add_another": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def construct_change_message(
        self,
        request: HttpRequest,
        form: AnyForm,
        formsets: list[AnyFormSet],
        add: bool = False,
    ) -> list[dict[str, Any]]:
        """Formsets are not saved as such, so they know of no changes; the audit event tells them."""
        found: list[dict[str, Any]] = super().construct_change_message(request, form, [], add)
        return found


def rows_of(formset: AnyFormSet | None) -> list[dict[str, Any]] | None:
    """What a formset holds after its form is saved, in order; None for a reader who does not see the formset."""
    if formset is None:
        return None
    gone = formset.deleted_forms
    return [
        form.cleaned_data for form in formset.forms if form not in gone and (form.instance.pk or form.has_changed())
    ]
