from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter


class EndedFilter(DropdownFilter):
    """Rows that go on, or those that have ended: told by whether `ended_at` names a time."""

    title = "state"
    parameter_name = "state"
    ended_at: ClassVar[str]
    # (goes on, has ended), as the address and the list say it
    words: ClassVar[tuple[tuple[str, str], tuple[str, str]]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.words)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        if not self.value():
            return queryset
        return queryset.filter(**{f"{self.ended_at}__isnull": self.value() == self.words[0][0]})
