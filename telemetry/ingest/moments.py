"""Times of spans. Source: RFC 3339."""

import datetime as dt
import re
from typing import Any

from telemetry.ingest.bounds import FURTHEST_AHEAD
from telemetry.ingest.faults import SpanFault

_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_AHEAD = f"{FURTHEST_AHEAD // dt.timedelta(minutes=1)} minutes ahead at most"


def moment(value: Any, field: str) -> dt.datetime:
    """In UTC, to the microsecond; what is finer is cut off. A datetime comes from a door that has read it already."""
    if isinstance(value, dt.datetime):
        return value
    if not isinstance(value, str):
        raise SpanFault("wrong_type", field, "a text such as 2026-11-21T14:00:00Z")
    if not _RFC_3339.fullmatch(value):
        raise SpanFault("bad_time", field)
    try:
        return dt.datetime.fromisoformat(value.upper()).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise SpanFault("bad_time", field) from None


def check_span_of_time(start: dt.datetime, end: dt.datetime, now: dt.datetime, oldest: dt.timedelta) -> None:
    """The span is over, not long past, and not to come. Raises SpanFault."""
    if start < now - oldest:
        raise SpanFault("too_old", "start_time", f"{oldest.days} days ago at most")
    if start > now + FURTHEST_AHEAD:
        raise SpanFault("in_the_future", "start_time", _AHEAD)
    if end > now + FURTHEST_AHEAD:
        raise SpanFault("in_the_future", "end_time", _AHEAD)
    if end < start:
        raise SpanFault("ends_before_start", "end_time")
