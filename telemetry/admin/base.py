"""What every list of the operators' admin has in common, and what the read-only ones add."""

import json
from typing import Any

from django.contrib.admin import ShowFacets
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold import fields
from unfold.admin import ModelAdmin

from telemetry.admin.paging import UncountedChangeList, UncountedPaginator


def json_block(value: Any, encoder: type[json.JSONEncoder] | None = None) -> SafeString:
    """JSON to read: indented, sorted by key, escaped, wrapped at the edge of the screen."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, cls=encoder)
    return format_html('<pre class="json-block">{}</pre>', text)


# Unfold's own version colours JSON with style attributes where Pygments is installed; the content policy forbids those.
fields.prettify_json = json_block


class ListAdmin(ModelAdmin):
    """Fifty rows a page and no COUNT; filters in a sheet with one button; forms warn of unsaved work."""

    list_per_page = 50
    show_full_result_count = False
    paginator = UncountedPaginator
    # Facets count once for each choice of each filter.
    show_facets = ShowFacets.NEVER
    # "Select all" would speak of a number that nobody counted.
    list_disable_select_all = True
    list_filter_submit = True
    list_filter_sheet = True
    list_fullwidth = True
    compressed_fields = True
    warn_unsaved_form = True

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """No stored text holds a NUL, and PostgreSQL compares with none: what is asked for is asked for without."""
        if any("\x00" in value for _, values in request.GET.lists() for value in values):
            asked = request.GET.copy()
            for name, values in request.GET.lists():
                asked.setlist(name, [value.replace("\x00", "") for value in values])
            request.GET = asked  # type: ignore[assignment]  # a mutable copy, as before
        page: HttpResponse = super().changelist_view(request, extra_context)
        return page

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[UncountedChangeList]:
        return UncountedChangeList


class ReadOnlyAdmin(ListAdmin):
    """Records to look at: those with the view permission see them, nobody adds, changes or deletes one here."""

    warn_unsaved_form = False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Nothing here is ever changed, so there is no history of changes to offer."""
        page: HttpResponse = super().change_view(
            request, object_id, form_url, {"show_history": False} | (extra_context or {})
        )
        return page

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
