import datetime as dt
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.utils import parse_datetime_str


class TimeRangeFilter(RangeDateTimeFilter):
    """From and to, each a date and perhaps a time, in UTC as all times here; what is neither is not asked for."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        asked = {
            f"{self.parameter_name}__{lookup}": self._moment(end, otherwise)
            for end, lookup, otherwise in (("from", "gte", "00:00:00"), ("to", "lte", "23:59:59"))
        }
        return queryset.filter(**{lookup: moment for lookup, moment in asked.items() if moment})

    def _moment(self, end: str, otherwise: str) -> dt.datetime | None:
        date, time = (self.used_parameters.get(f"{self.parameter_name}_{end}_{part}") for part in (0, 1))
        naive = parse_datetime_str(f"{date} {time or otherwise}") if date else None
        return timezone.make_aware(naive, dt.UTC) if naive else None
