from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from telemetry.admin.acts import Act, ActsAdmin, ReasonForm, operator_of
from telemetry.models import PriceOverride
from telemetry.price_acts import delete_price, save_price
from telemetry.published_prices import in_and_out, shown
from telemetry.wording import ago

UNKNOWN = "The published table does not know it: without this row its calls have no cost."


def _pair(into: Decimal | None, out: Decimal | None) -> str:
    return " / ".join("–" if each is None else f"{each.normalize():f}" for each in (into, out))


@admin.register(PriceOverride)
class PriceOverrideAdmin(ActsAdmin):
    subject_kind = "price"
    list_display = ("model", "provider", "in_and_out", "published_in_and_out", "note", "changed")
    search_fields = ("model", "provider", "note")
    search_help_text = "Model, provider or note."
    actions_detail = ("remove",)
    readonly_fields = ("published", "changed")
    add_fieldsets = ((None, {"fields": ("provider", "model", "input_usd", "output_usd", "note")}),)
    fieldsets = ((None, {"fields": ("provider", "model", "published", "input_usd", "output_usd", "note", "changed")}),)

    def save_model(self, request: HttpRequest, obj: PriceOverride, form: Any, change: bool) -> None:
        save_price(obj, operator_of(request), timezone.now())

    def has_remove_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("telemetry.delete_priceoverride"))

    @action(
        description="Remove…", url_path="remove", icon="delete", variant=ActionVariant.DANGER, permissions=["remove"]
    )
    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        price = self.get_object(request, object_id)
        if not isinstance(price, PriceOverride):
            raise Http404
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            if delete_price(price.pk, operator_of(request), form.cleaned_data["reason"]):
                messages.success(request, f"Removed: {price}. The published price holds from now on.")
            else:
                messages.warning(request, f"{price} was removed already; nothing changed.")
            return redirect("admin:telemetry_priceoverride_changelist")
        act = Act(
            title=f"Remove the price of {price}",
            facts=(
                ("Input, USD per million tokens", price.input_usd),
                ("Output, USD per million tokens", price.output_usd),
                ("As published", self.published(price)),
            ),
            consequences=(
                "Calls that are reported from now on cost what is published, or nothing is said of their cost.",
                "What was priced before keeps its cost.",
            ),
            button="Remove",
            danger=True,
        )
        return self.act_page(request, price, act, form)

    @display(description="In / out, USD per million")
    def in_and_out(self, price: PriceOverride) -> str:
        return _pair(price.input_usd, price.output_usd)

    @display(description="As published")
    def published_in_and_out(self, price: PriceOverride) -> str:
        found = in_and_out(price.provider, price.model, timezone.now())
        return _pair(*found) if found else "unknown"

    @display(description="As published (USD)")
    def published(self, price: PriceOverride) -> str:
        return shown(price.provider, price.model, timezone.now()) or UNKNOWN

    @display(description="Changed", ordering="changed_at")
    def changed(self, price: PriceOverride) -> str:
        return ago(price.changed_at)
