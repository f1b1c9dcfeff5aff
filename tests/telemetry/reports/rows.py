"""Sessions and steps as rows, as the recorder leaves them, and reports made of them."""

from __future__ import annotations

import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

from openpyxl import load_workbook

from telemetry.models import Session, Step
from telemetry.reports.making import Making
from telemetry.reports.selection import Filters, Selection
from telemetry.reports.writing import write_report

MOMENT = dt.datetime(2026, 11, 21, 14, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
SIGNAL = {
    "provider": "pii",
    "metric": "pii",
    "stage": "input",
    "score": 0.95,
    "threshold": 0.0,
    "violated": True,
    "denies": False,
    "kinds": {"email": 2, "phone": 1},
    "fingerprint": "4111111111111111",  # the digits of a card, and none
    "reused": False,
    "reason": "",
}


def session(
    session_id: str = "demo_session", agent: str = "billing-agent", agent_id: int = 1, **fields: Any
) -> Session:
    given: dict[str, Any] = {
        "agent_key": "ak_1",
        "model": "gpt-4o",
        "provider": "openai",
        "rules_hash": "ab" * 32,
        "policy": {"allowlist": ["search_customer"], "blocklist": [], "no_network": True, "dry_run": False},
        "guardrails": {"mode": "mixed", "thresholds": {"secrets": 0.5, "pii": 0.0}, "asked_for": []},
        "preflight_result": {"passed": True, "checked": {"tools": 1}, "violations": [], "detectors": []},
        "max_steps": 10_000,
        "created_at": MOMENT,
        "last_used_at": MOMENT,
    }
    return Session.objects.create(session_id=session_id, agent=agent, agent_id=agent_id, **given | fields)


def step(of: Session, number: int = 1, **fields: Any) -> Step:
    return Step.objects.create(**step_fields(of, number) | fields)


def step_fields(of: Session, number: int) -> dict[str, Any]:
    return {
        "session": of,
        "number": number,
        "role": "assistant",
        "channel": "llm_to_tool",
        "input_text": "Search for ACME",
        "selected_tool": "search_customer",
        "tool_args": {"query": "acme"},
        "output_text": "one customer",
        "decision": "ok",
        "reason": "allowed",
        "rule": "rule 1",
        "policy": "allowlist",
        "policy_revision": 1,
        "latency_us": 150_500,
        "tokens_in": 10,
        "tokens_out": 20,
        "token_source": "reported",
        "cost_est": Decimal("0.001"),
        "trace_id": f"{number:032x}",
        "began_at": of.created_at + number * MINUTE,
        "ended_at": of.created_at + number * MINUTE,
    }


def written(format_: str, selection: Selection | None = None) -> bytes:
    out = io.BytesIO()
    write_report(format_, Making(selection or Selection(), "dora", MOMENT), out)
    return out.getvalue()


def as_json(**filters: str) -> dict[str, Any]:
    """The JSON report's mcp_details."""
    found: dict[str, Any] = json.loads(written("json", Selection(Filters.from_json(filters))))["mcp_details"]
    return found


def as_book(selection: Selection | None = None) -> Any:
    return load_workbook(io.BytesIO(written("xlsx", selection)))


def details(book: Any) -> list[dict[str, Any]]:
    """The rows of the sheets of steps, by the name of the column."""
    rows: list[dict[str, Any]] = []
    for sheet in book.worksheets:
        if sheet.title.startswith("MCP_Details"):
            head, *body = sheet.iter_rows(values_only=True)
            rows += [dict(zip(head, row, strict=True)) for row in body]
    return rows
