"""Why one span of a batch is refused. The words are on the wire, registered once, never reused."""

from __future__ import annotations

from dataclasses import dataclass

FAULTS: dict[str, str] = {
    "missing": "a required field is not there",
    "wrong_type": "the field is of another type",
    "unknown_field": "a span has no such field, or a reporter can't set it",
    "unknown_word": "the field takes a few words, and this is none of them",
    "bad_id": "an id is lower-case hex, 32 digits for a trace and 16 for a span, and not all zero",
    "bad_time": "a time is RFC 3339 with its zone, such as 2026-11-21T14:00:00.123456Z",
    "ends_before_start": "the span ends before it starts",
    "too_old": "the span began longer ago than spans are taken",
    "in_the_future": "the span begins or ends in the future",
    "reserved_service": "the name is this installation's own",
    "out_of_range": "the number is out of its bounds",
    "too_long": "the field is longer than it may be",
}


class SpanFault(Exception):
    """One span can't be kept. `field` is a name of ours, or a reporter's own once masked; never a value.

    `takes`: what would do, in words of ours.
    """

    def __init__(self, code: str, field: str, takes: str = "") -> None:
        super().__init__(code, field)
        self.code, self.field, self.takes = code, field, takes

    @property
    def detail(self) -> str:
        return f"{self.field}: {FAULTS[self.code]}{f' ({self.takes})' if self.takes else ''}."


@dataclass(frozen=True, slots=True)
class Rejected:
    """Which span of the batch, by its place, and why."""

    index: int
    code: str
    detail: str

    def as_json(self) -> dict[str, object]:
        return {"index": self.index, "code": self.code, "detail": self.detail}
