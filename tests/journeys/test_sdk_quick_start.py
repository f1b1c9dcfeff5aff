"""The client library as its README tells: the quick start, and an instrumented server, against real PostgreSQL."""

import ast
import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.journeys.mcp_processes import soon
from tests.journeys.sdk_traces import ROOT, SCHEMA, quick_start, rows, run, table
from tests.serving import database_url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
EXAMPLE = ROOT / "examples" / "simple_mcp_server.py"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_quick_start_writes_the_row_and_prints_the_figures_worked_out_by_hand():
    with table():
        ended = run(quick_start())
        (row,) = rows()
    assert (ended.returncode, ended.stderr) == (0, "")
    snapshot, alerts = map(ast.literal_eval, ended.stdout.splitlines())
    # "Hello MCP" has 9 bytes and "Hello human" 11: 3 tokens each, at 2.50 and 10 USD for a million.
    assert snapshot == {
        "total_calls": 1,
        "avg_cost_usd": 0.0000375,
        "fallback_rate": 0.0,
        "retry_rate": 0.0,
        "low_confidence_rate": 0.0,  # 0.64 is not under 0.5
        "confidence_gate_block_rate": 1.0,  # 0.64 is under 0.70
        "prompt_diff_violation_rate": 1.0,  # 0.42 is above 0.30
        "shadow_disagreement_rate": 1.0,
        "deterministic_fallback_rate": 1.0,
        "high_risk_path_rate": 1.0,
        "golden_financial_failure_rate": 0.0,
    }
    assert alerts == [
        "prompt_diff_violation_rate_above_threshold",
        "shadow_disagreement_rate_above_threshold",
        "deterministic_fallback_rate_above_threshold",
    ]
    assert len(row.pop("trace_id")) == 32
    assert len(row.pop("span_id")) == 16
    began, ended_at = row.pop("start_time"), row.pop("end_time")
    assert timedelta(0) <= ended_at - began < timedelta(seconds=5)
    assert row == {
        "parent_span_id": None,
        "kind": "model_call",
        "name": "chat gpt-4o",
        "service": "example-mcp",
        "provider": None,
        "model": "gpt-4o",
        "tool_name": None,
        "prompt_tokens": 3,
        "completion_tokens": 3,
        "token_source": "estimate",
        "cost_usd": Decimal("0.00003750"),
        "retries": 0,
        "fallback_used": False,
        "confidence": 0.64,
        "confidence_gate_blocked": True,
        "prompt_diff_score": 0.42,
        "shadow_agreement": False,
        "shadow_disagreement_score": None,
        "deterministic_fallback": True,
        "high_risk_path": True,
        "golden_passed": True,
        "error_type": None,
        "session_id": None,
        "attributes": {},
    }


def test_quick_start_names_the_schema_file_when_the_table_is_missing():
    ended = run(quick_start())
    assert ended.returncode == 0
    assert len(ended.stdout.splitlines()) == 2
    assert str(SCHEMA) in ended.stderr
    assert "Traceback" not in ended.stderr


def conversation(meta):
    """A real client starts the example as a host would, and calls its tools."""

    async def talk():
        parameters = StdioServerParameters(
            command=sys.executable,
            args=[str(EXAMPLE)],
            env={"PYTHONPATH": str(ROOT / "sdk"), "PATH": os.environ["PATH"], "DATABASE_URL": database_url()},
        )
        async with Client(stdio_client(parameters)) as client:
            priced = await client.call_tool("price", {"drink": "tea"})
            failed = await client.call_tool("price", {"drink": "canary-7f3a"})
            advised = await client.call_tool("recommend", {"mood": "tired"}, meta=meta)
            return priced, failed, advised

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, talk()).result(timeout=60)


def test_example_server_reports_the_calls_of_a_real_client():
    with table():
        priced, failed, advised = conversation({"traceparent": f"00-{TRACE}-{SPAN}-01"})
        found = soon(lambda: len(rows()) == 4 and rows())
    assert priced.structured_content == {"result": 2.0}
    assert failed.is_error
    assert advised.content[0].text == "tea"
    assert {row["service"] for row in found} == {"simple-mcp-server"}
    assert [(row["kind"], row["tool_name"], row["model"], row["error_type"]) for row in found] == [
        ("tool_call", "price", None, None),
        ("tool_call", "price", None, "tool_error"),
        ("tool_call", "recommend", None, None),
        ("model_call", None, "gpt-4o", None),
    ]
    tool, model = found[2:]
    assert (tool["trace_id"], tool["parent_span_id"]) == (TRACE, SPAN)
    assert (model["trace_id"], model["parent_span_id"]) == (TRACE, tool["span_id"])
    assert model["cost_usd"] == Decimal("0.00003000")  # 8 tokens in, 1 out: 8 x 2.50 + 10 USD for a million
    assert "canary-7f3a" not in str(found)
