"""A secret that is put wherever an agent, a tool, a model or a reporter can put words, and then looked for everywhere.

It may stand in the payload table, encrypted; in no other row, no log line, no metric, no export, no message.
"""

import datetime as dt
import json
import secrets
from pathlib import Path

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from telemetry.alerts.evaluation import evaluate
from telemetry.delivery.sending import send_due
from telemetry.log_lines import OneLine
from telemetry.metrics.late_spans import whole_minute
from telemetry.metrics.rollups import roll_up
from telemetry.models import AlertNotification, AlertRule, Payload, RollupWatermark, Session, Span, SpanExport, Step
from telemetry.otel.export import send_spans_on
from telemetry.recorder import SYSTEM
from tests.answering import answering
from tests.journeys.proposals import proposed
from tests.telemetry.delivery.messages import channel
from tools.actions.tools import declare, save_endpoint, save_tool
from tools.models import HttpEndpoint, Tool
from tools.registry import Declaration

pytestmark = pytest.mark.django_db(transaction=True)

WORD = "Zq7Canary9abcDEF0123456789"
# What is a secret by its form, wherever it stands; and personal data.
CANARY = f"ghp_{WORD}xyzABC"
MAIL = f"{WORD.lower()}@example.com"
TEXT = f"use {CANARY} or write to {MAIL}"
SCHEMA = {"type": "object", "properties": {"note": {"type": "string"}}}


def tables_that_hold(word: str) -> set[str]:
    """Every table with a row in which the word stands, as text or as bytes."""
    found = set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        for (table,) in cursor.fetchall():
            cursor.execute(
                f'SELECT EXISTS (SELECT 1 FROM "{table}" t WHERE t::text ILIKE %s OR t::text ILIKE %s)',
                [f"%{word}%", f"%{word.encode().hex()}%"],
            )
            if cursor.fetchone()[0]:
                found.add(table)
    return found


@pytest.fixture
def outside(settings, tmp_path):
    """The endpoint, collector and receiver that everything outgoing is sent to; and the audit trail's file."""
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    settings.TELL_BY_EMAIL, settings.DEFAULT_FROM_EMAIL = True, "observatory@example.com"
    settings.PUBLIC_URL = "https://observatory.example.com"
    settings.AUDIT_TRAIL = str(tmp_path / "audit.jsonl")
    with answering() as server:
        settings.OTLP_ENDPOINT = server.url
        server.answer = (200, {}, json.dumps({"said": TEXT}).encode())
        yield server


def http_tool(url: str) -> None:
    tool = save_tool(Tool(name="notes.add", executor="http", network="yes"), SYSTEM)
    declare(tool, Declaration("notes.add", "Note", "Adds a note.", SCHEMA, None, {}, {}), SYSTEM)
    save_endpoint(HttpEndpoint(tool=tool, method="POST", url=url), SYSTEM, secret=None)


def call_with_it_everywhere(caller, world, server):
    """Arguments of calls that run, are refused, held and proposed; a tool's answer, error and garbage; odd names."""
    caller.call("notes.add", {"note": TEXT}, Idempotency_Key="k-1")
    caller.call("notes.add", {"note": 1, CANARY: TEXT})
    for answer in ((500, {}, TEXT.encode()), (200, {}, TEXT.encode()), (302, {"Location": f"/{CANARY}"}, b"")):
        server.answer = answer
        caller.call("notes.add", {"note": TEXT})
    caller.call(CANARY, {"note": TEXT})
    caller.call("send_message", {"channel": TEXT, "message": TEXT})
    caller.call("update_customer_status", {"customer_id": world.acme.pk, "new_status": TEXT})
    caller.post("/decisions", {"tool": "notes.add", "args": {"note": TEXT}})
    params = {"name": "notes.add", "arguments": {"note": TEXT}}
    caller.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    proposed(caller, {"customer_id": world.acme.pk, "title": TEXT}, [TEXT, TEXT])
    caller.post("/tools/notes.add", f'{{"note": {TEXT}')
    caller.get(f"/actions/{CANARY}")


def step_with_it_everywhere(caller):
    """What is said, called, named, refused, withheld and reported in sessions, under each mode."""
    for mode in ("advisory", "mixed", "hard_gate"):
        name = f"{caller.key.agent.name}-{mode}"
        opened = caller.post("/sessions", {"session_id": name, "model": "m", "guardrails": {"mode": mode}})
        assert opened.status_code == 201
        for role in ("user", "tool"):
            caller.post(f"/sessions/{name}/steps", {"role": role, "input_text": TEXT})
        refused = {"note": 1, CANARY: TEXT}
        for tool, args in (("notes.add", {"note": TEXT}), ("notes.add", refused), (CANARY, {"note": TEXT})):
            call = {"role": "assistant", "input_text": TEXT, "tool_name": tool, "tool_args": args}
            caller.post(f"/sessions/{name}/steps", call)
        caller.get(f"/sessions/{name}")
    for wrong in ({"session_id": CANARY}, {"model": CANARY}, {"policy": {"blocklist": [MAIL]}}, {"upstream": CANARY}):
        assert caller.post("/sessions", {"model": "m"} | wrong).status_code == 400
    name = f"{caller.key.agent.name}-reported"
    caller.post("/sessions", {"session_id": name, "model": "m", "reported": True})
    signal = dict.fromkeys(("provider", "metric", "stage", "fingerprint", "reason"), TEXT) | {"kinds": {CANARY: 1}}
    told = {"output_text": TEXT, "error": TEXT, "reason": CANARY, "guardrail_signals": [signal]}
    for decision in ("ok", "error", TEXT):
        call = {"role": "assistant", "tool_name": CANARY, "tool_args": {"note": TEXT}, "input_text": TEXT}
        caller.post(f"/sessions/{name}/steps", call | {"outcome": told | {"decision": decision}})


def report_with_it_everywhere(caller):
    """Every text of a span, in spans that are kept and in spans that are refused, through both doors."""
    now = timezone.now().isoformat()
    span = {
        "trace_id": secrets.token_hex(16),
        "span_id": secrets.token_hex(8),
        "kind": "model_call",
        "start_time": now,
        "end_time": now,
        **dict.fromkeys(("name", "service", "provider", "model", "tool_name", "error_type", "session_id"), CANARY),
        "attributes": {"gen_ai.prompt": TEXT, "server.address": TEXT, CANARY: TEXT, "gen_ai.input.messages": TEXT},
    }
    refused = [span | wrong for wrong in ({"kind": TEXT}, {CANARY: 1}, {"start_time": TEXT})]
    caller.post("/telemetry/spans", {"spans": [span, *refused]})
    named = {"name": TEXT, "traceId": secrets.token_hex(16), "spanId": secrets.token_hex(8)}
    nanos = str(int(timezone.now().timestamp() * 1e9))
    keys = ("gen_ai.request.model", "gen_ai.operation.name", "gen_ai.prompt", "error.type", CANARY)
    named["attributes"] = [{"key": key, "value": {"stringValue": TEXT}} for key in keys]
    otlp = named | {"startTimeUnixNano": nanos, "endTimeUnixNano": nanos, "status": {"message": TEXT, "code": 2}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": TEXT}}]}
    caller.post("/v1/traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [otlp]}]}]})


def tell_of_it(server):
    """Rollups, an alert for each of everything, by webhook and by mail; and our spans to the collector."""
    server.answer = (200, {}, b"")
    now = timezone.now()
    Span.objects.update(start_time=now - dt.timedelta(minutes=2), end_time=now)
    RollupWatermark.objects.create(at=whole_minute(now) - dt.timedelta(minutes=5))
    roll_up(now)
    rule = AlertRule.objects.create(name="Any call", metric="total_calls", threshold=0, min_samples=0, keep_firing_s=0)
    AlertRule.objects.filter(pk=rule.pk).update(group_by=["service", "model", "tool_name", "agent"])
    rule.channels.set([channel(url=f"{server.url}/hook"), channel("email", recipients="oncall@example.com")])
    evaluate(now)
    send_due(timezone.now)
    SpanExport.objects.create(name="otlp", recorded_to=now - dt.timedelta(hours=1))
    Span.objects.update(recorded_at=now - dt.timedelta(minutes=1))
    send_spans_on()


def test_a_canary_is_only_in_the_payload_table_and_there_encrypted(world, outside, caplog, settings):
    http_tool(f"{outside.url}/notes")
    caller = world.caller(world.allowing("notes.*", "send_message", "update_customer_status"))
    two_phases = world.caller(world.two_phase(), name="proposing")
    call_with_it_everywhere(caller, world, outside)
    call_with_it_everywhere(two_phases, world, outside)
    step_with_it_everywhere(caller)
    step_with_it_everywhere(two_phases)
    report_with_it_everywhere(caller)
    asked_before = len(outside.asked)
    tell_of_it(outside)
    told = outside.asked[asked_before:]

    # The test reached what it looks at.
    assert {"ok", "error", "denied_policy", "denied_schema"} <= set(Step.objects.values_list("decision", flat=True))
    assert {"guardrail_input", "unknown_tool"} <= set(Step.objects.values_list("reason", flat=True))
    assert Payload.objects.exists()
    assert set(Span.objects.values_list("origin", flat=True)) == {"pipeline", "sdk", "otlp"}
    assert {path for _, path, _, _ in told} == {"/hook", "/v1/traces"}
    messages = [asked for asked in told if asked.path == "/hook"]
    assert len(messages) > 3
    assert AlertNotification.objects.exclude(sent_at=None).count() == len(messages) + len(mail.outbox)

    for word in (WORD, CANARY, MAIL):
        assert tables_that_hold(word) <= {"demo_message"}, word
    said = [
        "\n".join(map(OneLine("%(message)s").format, caplog.records)),
        Path(settings.AUDIT_TRAIL).read_text(encoding="utf-8"),
        caller.get("/metrics").content.decode(),
        caller.get("/telemetry/metrics?group_by=service,model,tool_name,agent").content.decode(),
        caller.get("/telemetry/alerts").content.decode(),
        caller.get("/guardrails/health").content.decode(),
        *(
            caller.get(f"/sessions/{name}").content.decode()
            for name in Session.objects.values_list("session_id", flat=True)
        ),
        b"".join(caller.get("/audit/events").streaming_content).decode(),
        *(str(message.message()) for message in mail.outbox),
        *(str(message.body) + message.subject for message in mail.outbox),
        *(f"{path} {headers} {body.decode(errors='replace')}" for _, path, headers, body in told),
        *(str(ExportTraceServiceRequest.FromString(body)) for _, path, _, body in told if path == "/v1/traces"),
    ]
    for text in said:
        assert WORD.lower() not in text.lower()
