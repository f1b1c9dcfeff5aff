"""The report as JSON: `{"report": ..., "mcp_details": {"summary": ..., "sessions": [..., {..., "steps": [...]}]}}`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import IO, Any

from telemetry.reports.making import Making
from telemetry.reports.rows import session_head, session_tail, step_row
from telemetry.reports.summary import Summary

CONTENT_TYPE = "application/json"


def write_json(making: Making, summary: Summary, out: IO[bytes], told: Callable[[int], None]) -> None:
    """The whole report is written, a step at a time. `told` hears how many steps are."""
    put = _Putting(out)
    put.text('{"report":')
    put.value(making.as_json())
    put.text(',"mcp_details":{"summary":')
    put.value(summary.as_json())
    put.text(',"sessions":[')
    done = 0
    for place, (session, steps) in enumerate(making.selection.told()):
        put.text("\n," if place else "\n")
        put.opened(session_head(session))
        put.text(',"steps":[')
        for index, step in enumerate(steps):
            put.text("\n," if index else "\n")
            put.value(step_row(step))
            done += 1
            told(done)
        put.text("],")
        put.members(session_tail(session))
        put.text("}")
    put.text("\n]}}\n")


class _Putting:
    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def text(self, text: str) -> None:
        self._out.write(text.encode("ascii"))

    def value(self, value: Any) -> None:
        """In ASCII: no character of it can be another's line end, and lone halves of characters stay escaped."""
        self.text(json.dumps(value, allow_nan=False, separators=(",", ":")))

    def opened(self, value: dict[str, Any]) -> None:
        """An object that goes on."""
        self.text(json.dumps(value, allow_nan=False, separators=(",", ":"))[:-1])

    def members(self, value: dict[str, Any]) -> None:
        """The rest of one."""
        self.text(json.dumps(value, allow_nan=False, separators=(",", ":"))[1:-1])
