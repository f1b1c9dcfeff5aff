"""A span as a reporter sends it, and what becomes of a batch of one."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Any

from telemetry.ingest.batch import Reporter, read_batch
from telemetry.ingest.bounds import OLDEST

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
ALICE = Reporter("alice-agent", "abcd1234", "sdk")


def span(now: dt.datetime = NOW, **fields: Any) -> dict[str, Any]:
    """A good one, half a minute old, with fields set; a field set to `...` is left out."""
    began = now - dt.timedelta(seconds=30)
    found = {
        "trace_id": secrets.token_hex(16),
        "span_id": secrets.token_hex(8),
        "kind": "model_call",
        "service": "example-mcp",
        "start_time": began.isoformat(),
        "end_time": (began + dt.timedelta(milliseconds=250)).isoformat(),
    } | fields
    return {name: value for name, value in found.items() if value is not ...}


def row_of(reported: Any) -> dict[str, Any]:
    rows, rejected = read_batch([reported], ALICE, NOW, OLDEST)
    assert rejected == []
    return rows[0]


def fault_of(reported: Any) -> tuple[str, str]:
    """(code, field) of the one reason."""
    rows, [rejected] = read_batch([reported], ALICE, NOW, OLDEST)
    assert rows == []
    return rejected.code, rejected.detail.partition(":")[0]
