"""A report's file is made: of one moment, whole, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from telemetry.models import Report
from telemetry.recorder import Actor, Subject, record_event
from telemetry.reports import json_report, xlsx_report
from telemetry.reports.making import Making
from telemetry.reports.selection import one_moment
from telemetry.reports.summary import Summary, summary_of

_WRITERS = {Report.Format.JSON: json_report.write_json, Report.Format.XLSX: xlsx_report.write_xlsx}
CONTENT_TYPES = {Report.Format.JSON: json_report.CONTENT_TYPE, Report.Format.XLSX: xlsx_report.CONTENT_TYPE}
# Hears how many steps of how many in all are told.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """What a finished file holds."""

    sessions: int
    steps: int
    size_bytes: int


def nobody_listens(done: int, total: int) -> None:
    """For whoever has nothing to say meanwhile."""


def write_report(
    format_: str, making: Making, out: IO[bytes], progress: Progress = nobody_listens, most_steps: int | None = None
) -> Made:
    """The file is complete. `progress` hears of every step, and at once of how many there are.

    Raises TooManySteps before anything is written.
    """
    with one_moment():
        summary = summary_of(making.selection)
        total = summary.total.steps
        if most_steps is not None and total > most_steps:
            raise TooManySteps(total)
        progress(0, total)
        _WRITERS[Report.Format(format_)](making, summary, out, lambda done: progress(done, total))
    return _made(summary, out)


class TooManySteps(Exception):
    """The selection has more than may be told here."""

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self.steps = steps


def _made(summary: Summary, out: IO[bytes]) -> Made:
    out.flush()
    return Made(summary.sessions, summary.total.steps, out.seek(0, os.SEEK_END))


def record_made(actor: Actor, format_: str, making: Making, made: Made, report_id: str = "") -> None:
    """That a report was made is part of the running transaction: filters and counts, never what it tells."""
    counts = {"sessions": made.sessions, "steps": made.steps, "bytes": made.size_bytes}
    data = {"format": format_, "filters": making.selection.filters.as_json(), **counts}
    record_event("report.made", actor, Subject("report", report_id, making.made_by), data=data, now=making.made_at)
