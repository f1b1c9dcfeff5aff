"""Forms whose saving is an act of tools/actions: check, change and event together. The form itself saves nothing."""

from typing import Any

from django.db.models import Model
from django.forms import BaseInlineFormSet, ModelForm
from django.http import HttpRequest

from telemetry.admin.acts import ActsAdmin

PAGE_STYLE = "observatory/policy.css"
PAGE_SCRIPT = "observatory/policy.js"


class ActingAdmin(ActsAdmin):
    """`save_related` of each admin calls its act, since only there all parts of the form are known."""

    class Media:
        css = {"all": [PAGE_STYLE]}
        js = [PAGE_SCRIPT]

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm, change: bool) -> None:  # type: ignore[type-arg]
        """Left to `save_related`."""

    def construct_change_message(
        self,
        request: HttpRequest,
        form: ModelForm,  # type: ignore[type-arg]
        formsets: list[BaseInlineFormSet],  # type: ignore[type-arg]
        add: bool = False,
    ) -> list[dict[str, Any]]:
        """Formsets are not saved as such, so they know of no changes; the audit event tells them."""
        found: list[dict[str, Any]] = super().construct_change_message(request, form, [], add)
        return found


def rows_of(formset: BaseInlineFormSet | None) -> list[dict[str, Any]] | None:  # type: ignore[type-arg]
    """What a formset holds after its form is saved, in order; None for a reader who does not see the formset."""
    if formset is None:
        return None
    gone = formset.deleted_forms
    return [
        form.cleaned_data for form in formset.forms if form not in gone and (form.instance.pk or form.has_changed())
    ]
