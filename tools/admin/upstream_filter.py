from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter

from tools.models import Upstream


class UpstreamFilter(DropdownFilter):
    """By the upstream server's name, also where there is one only. `where` leads from a row to its upstream."""

    title = "upstream server"
    parameter_name = "upstream"
    where = "upstream"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in Upstream.objects.values_list("name", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        name = self.value()
        return queryset.filter(**{f"{self.where}__name": name}) if name else queryset
