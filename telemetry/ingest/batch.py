"""A batch of reported spans: the rows of the good ones, and why each other is refused."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from telemetry.ingest.checking import checked
from telemetry.ingest.faults import Rejected, SpanFault
from telemetry.models.span import reported_row_id

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports, as the key proved it, and by which door. A span says nothing of this."""

    agent: str
    agent_key: str
    origin: str


def read_batch(
    spans: Iterable[Any], reporter: Reporter, now: dt.datetime, oldest: dt.timedelta
) -> tuple[list[Row], list[Rejected]]:
    """Every span is in one of the two, in the batch's order."""
    said = {"agent": reporter.agent, "agent_key": reporter.agent_key, "origin": reporter.origin}
    rows: list[Row] = []
    rejected: list[Rejected] = []
    for index, span in enumerate(spans):
        try:
            row = checked(span, now, oldest)
        except SpanFault as fault:
            rejected.append(Rejected(index, fault.code, fault.detail))
            continue
        row["id"] = reported_row_id(reporter.agent, row["trace_id"], row["span_id"], row["start_time"])
        rows.append(row | said)
    return rows, rejected
