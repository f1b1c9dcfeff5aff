from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from telemetry.admin.base import ReadOnlyAdmin
from telemetry.models import SpanExport
from telemetry.visible import visible
from telemetry.wording import moment


@admin.register(SpanExport)
class SpanExportAdmin(ReadOnlyAdmin):
    list_display = ("name", "place", "sent", "refused", "sent_seen", "failed_seen", "error_seen")
    fieldsets = (
        (None, {"fields": ("recorded_to", "sent", "refused", "sent_at")}),
        ("When it failed", {"fields": ("error_seen", "last_failed_at", "retry_at")}),
        ("Who sends now", {"fields": ("leased_until",)}),
    )
    readonly_fields = ("error_seen",)

    @display(description="Recorded up to (UTC)")
    def place(self, export: SpanExport) -> SafeString:
        """Of the last span that the collector answered for."""
        return moment(export.recorded_to)

    @display(description="Last sent (UTC)")
    def sent_seen(self, export: SpanExport) -> SafeString | str:
        return moment(export.sent_at) if export.sent_at else "never"

    @display(description="Last failed (UTC)")
    def failed_seen(self, export: SpanExport) -> SafeString | str:
        return moment(export.last_failed_at) if export.last_failed_at else "never"

    @display(description="Last error")
    def error_seen(self, place: SpanExport) -> str:
        return visible(place.last_error) or "–"
