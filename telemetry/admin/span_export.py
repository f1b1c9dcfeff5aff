from django.contrib import admin
from unfold.decorators import display

from telemetry.admin.base import ReadOnlyAdmin
from telemetry.models import SpanExport
from telemetry.visible import visible


@admin.register(SpanExport)
class SpanExportAdmin(ReadOnlyAdmin):
    list_display = ("name", "recorded_to", "sent", "refused", "sent_at", "last_failed_at", "error_seen")
    fieldsets = (
        (None, {"fields": ("recorded_to", "sent", "refused", "sent_at")}),
        ("When it failed", {"fields": ("error_seen", "last_failed_at", "retry_at")}),
        ("Who sends now", {"fields": ("leased_until",)}),
    )
    readonly_fields = ("error_seen",)

    @display(description="Last error")
    def error_seen(self, place: SpanExport) -> str:
        return visible(place.last_error) or "–"
