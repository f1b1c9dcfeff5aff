"""The client library reports to the observatory itself, by its real server: each span once; and sees its key's end."""

from decimal import Decimal

import pytest
from django.utils import timezone
from mcp_observatory import TraceContext, instrument
from mcp_observatory.exporters import HttpExporter

from telemetry.models import Span
from telemetry.recorder import SYSTEM
from tests.serving import serving
from tools.actions.agents import revoke_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_spans_of_the_library_are_kept_here(world, tmp_path, caplog):
    caller = world.caller(world.allowing())
    with serving(tmp_path) as server:
        exporter = HttpExporter(server.url, caller.secret, interval_s=0.01, exit_timeout_s=1.0)
        interceptor = instrument("bot", exporter)
        with interceptor.span("tool_call", tool_name="find") as tool:
            interceptor.record_model_call(
                "gpt-4o",
                "Hello MCP",
                response="Hello human",
                confidence=0.64,
                confidence_gate_threshold=0.70,
                attributes={"gen_ai.request.temperature": 0.5, "prompt": "Hello MCP"},
            )
            tool.error_type = "ValueError"
        twice = TraceContext("bot", "other", name="twice")
        for span in (twice, twice, TraceContext("observatory", "other")):
            exporter.export(span)
        assert exporter.flush(30)
        assert (exporter.counts.sent, exporter.counts.dropped) == (4, {"refused": 1})
        assert "reserved_service (1)" in caplog.text
        revoke_key(caller.key, SYSTEM, timezone.now())
        exporter.export(twice)
        assert exporter.flush(30)
        exporter.export(twice)
        exporter.close()
    assert exporter.counts.dropped == {"refused": 1, "not_authenticated": 2}
    kept = {span.name: span for span in Span.objects.filter(origin="sdk")}
    assert kept.keys() == {"tools/call find", "chat gpt-4o", "twice"}
    outer, inner = kept["tools/call find"], kept["chat gpt-4o"]
    assert (outer.service, outer.kind, outer.tool_name, outer.decision) == ("bot", "tool_call", "find", "error")
    assert (outer.trace_id, outer.span_id, outer.error_type) == (tool.trace_id, tool.span_id, "ValueError")
    assert (inner.trace_id, inner.parent_span_id, inner.decision) == (tool.trace_id, tool.span_id, "ok")
    assert (inner.prompt_tokens, inner.completion_tokens, inner.token_source) == (3, 3, "estimate")
    assert (inner.cost_usd, inner.cost_source) == (Decimal("0.00003750"), "reported")
    assert (inner.confidence, inner.confidence_gate_blocked) == (0.64, True)
    assert inner.attributes == {"gen_ai.request.temperature": 0.5}
