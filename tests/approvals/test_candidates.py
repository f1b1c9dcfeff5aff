"""Where a proposal's two outputs come from: the caller, a real endpoint on loopback, the demonstration's generator."""

import json
import threading
from contextlib import suppress
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from approvals.candidates.demo import TEMPERATURES, generate
from approvals.integrity import Assessment, assess
from approvals.models import CandidateSource, IntegritySettings, PromptBaseline
from approvals.scoring import Weights, composite_score, is_blocked, prompt_hash, signals_of
from telemetry.models import PriceOverride
from telemetry.trace_context import continue_or_start
from tools.contract import Door, Intent, Stop, ToolCall
from tools.models import Tool
from tools.snapshot import current

AGREED = ("Send 100 to acct_1.", "Send 100 to acct_1.")
SAID = {"choices": [{"message": {"role": "assistant", "content": "Send 100 to acct_1."}}]}


@pytest.fixture
def endpoint(settings):
    """A model endpoint that answers what `answers` says, in turn, and remembers what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            server.asked.append((self.path, dict(self.headers), json.loads(self.rfile.read(length))))
            status, headers, body = server.answers[min(len(server.asked), len(server.answers)) - 1]
            server.wait.wait(10)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

        def handle(self):
            with suppress(OSError):  # we hung up
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answers, server.wait = [], [(200, {}, json.dumps(SAID).encode())], threading.Event()
    server.wait.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    settings.MODEL_URL = f"http://127.0.0.1:{server.server_address[1]}/v1/"
    settings.MODEL_NAME, settings.MODEL_KEY, settings.MODEL_TIMEOUT_S = "small-1", "model-key", 10.0
    yield server
    server.wait.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def propose(world):
    """Assesses one proposal of `send_message` under the settings and the risk given."""

    def _propose(prompt="Send 100 to acct_1", outputs=None, *, risk="high", **chosen):
        Tool.objects.filter(name="send_message").update(risk=risk)
        tool = current().tools["send_message"]
        if chosen:
            IntegritySettings.objects.update_or_create(tool_id=tool.id, defaults=chosen)
        call = ToolCall(
            tool_name=tool.name,
            arguments={},
            door=Door.REST,
            trace=continue_or_start(None),
            received_at=timezone.now(),
            credential="mo_demo_agents_own_key",
            intent=Intent(prompt, outputs),
            tool=tool,
        )
        found = assess(call)
        _propose.spans = call.children.rows({"service": "observatory"})
        return found

    return _propose


@pytest.fixture
def outside(settings):
    settings.DEMO = False


def code(found):
    return found.code if isinstance(found, Stop) else None


@pytest.mark.django_db
def test_the_model_is_asked_twice_with_the_prompt_and_nothing_of_the_agents(endpoint, propose):
    found = propose("Send 100 to acct_1", risk="high")
    assert isinstance(found, Assessment)
    assert (found.source, found.outputs, found.composite_score, found.blocked) == ("model", AGREED, 0.0, False)
    (path, headers, first), (_, _, second) = endpoint.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer model-key"
    assert first["model"] == "small-1"
    assert [m["content"] for m in first["messages"] if m["role"] == "user"] == ["Send 100 to acct_1"]
    assert first["messages"] == second["messages"]
    assert first["temperature"] != second["temperature"]
    assert "mo_demo_agents_own_key" not in json.dumps([headers, first, second])


@pytest.mark.django_db
@pytest.mark.parametrize(("status", "error"), [(200, ""), (500, "500")])
def test_each_question_to_the_model_is_a_span_that_the_endpoint_continues(endpoint, propose, settings, status, error):
    settings.MODEL_PROVIDER = "openai"
    endpoint.answers = [(200, {}, json.dumps(SAID).encode()), (status, {}, json.dumps(SAID).encode())]
    propose("Send 100 to acct_1")
    assert [(span.kind, span.provider, span.model, span.error_type) for span in propose.spans] == [
        ("model_call", "openai", "small-1", ""),
        ("model_call", "openai", "small-1", error),
    ]
    assert [span.token_source for span in propose.spans] == ["estimate", "" if error else "estimate"]
    sent = [headers["traceparent"].split("-")[1:3] for _, headers, _ in endpoint.asked]
    assert sent == [[span.trace_id, span.span_id] for span in propose.spans]
    assert "acct_1" not in str([vars(span) for span in propose.spans])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("usage", "provider", "counted", "cost_usd", "source"),
    [
        ({"prompt_tokens": 1000, "completion_tokens": 500}, "ours", (1000, 500, "reported"), "0.00700000", "override"),
        ({"prompt_tokens": 1000, "completion_tokens": 500}, "", (1000, 500, "reported"), None, ""),
        (None, "ours", (57, 5, "estimate"), "0.00016400", "override"),
    ],
)
def test_questions_to_the_model_have_tokens_and_a_price(
    endpoint, propose, settings, usage, provider, counted, cost_usd, source
):
    settings.MODEL_PROVIDER = provider
    PriceOverride.objects.create(provider="ours", model="small-1", input_usd=2, output_usd=10)
    endpoint.answers = [(200, {}, json.dumps(SAID | ({"usage": usage} if usage else {})).encode())]
    propose("Send 100 to acct_1")
    for span in propose.spans:
        assert (span.prompt_tokens, span.completion_tokens, span.token_source) == counted
        assert (span.cost_usd, span.cost_source) == (Decimal(cost_usd) if cost_usd else None, source)


@pytest.mark.django_db
def test_outputs_of_the_model_that_disagree_block(endpoint, propose):
    other = {"choices": [{"message": {"content": "Delete 7 orders at once, then report back"}}]}
    endpoint.answers.append((200, {}, json.dumps(other).encode()))
    found = propose()
    assert found.blocked
    assert found.signals.numeric_variance > 0.9


UNUSABLE = {
    "a fault": (500, {}, b"{}"),
    "wrong key": (401, {}, json.dumps(SAID).encode()),
    "empty": (200, {}, b""),
    "not json": (200, {}, b"<html>"),
    "twice the same key": (200, {}, b'{"choices":[],"choices":[]}'),
    "a list": (200, {}, b"[]"),
    "no choice": (200, {}, b'{"choices": []}'),
    "no text": (200, {}, b'{"choices": [{"message": {"content": null}}]}'),
    "blank text": (200, {}, b'{"choices": [{"message": {"content": " "}}]}'),
    "text elsewhere": (200, {}, b'{"choices": [{"text": "Send"}]}'),
    "parts": (200, {}, b'{"choices": [{"message": {"content": [{"type": "text", "text": "Send"}]}}]}'),
    "deep": (200, {}, b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "lone surrogate": (200, {}, b'{"choices": [{"message": {"content": "\\ud800"}}]}'),
    "huge": (200, {}, json.dumps({"choices": [{"message": {"content": "x" * 400_000}}]}).encode()),
    "elsewhere": (302, {"Location": "/v1/chat/completions"}, b""),
}


@pytest.mark.django_db
@pytest.mark.parametrize("what", UNUSABLE)
def test_an_answer_that_can_not_be_used_stops_the_proposal(endpoint, propose, what):
    endpoint.answers = [UNUSABLE[what]]
    assert code(propose()) == "model_unavailable"
    assert len(endpoint.asked) == 1
    endpoint.answers = [(200, {}, json.dumps(SAID).encode())]
    assert code(propose()) is None


@pytest.mark.django_db
def test_a_second_output_that_fails_stops_the_proposal_too(endpoint, propose):
    endpoint.answers.append(UNUSABLE["a fault"])
    assert code(propose()) == "model_unavailable"


@pytest.mark.django_db
def test_the_time_out_bounds_both_outputs_together(endpoint, propose, settings):
    settings.MODEL_TIMEOUT_S = 0.3
    endpoint.wait.clear()
    before = timezone.now()
    found = propose()
    assert (timezone.now() - before).total_seconds() < 3
    assert (code(found), found.detail) == ("model_unavailable", "The model endpoint did not answer in time.")


@pytest.mark.django_db
def test_an_address_that_is_not_opened_is_never_reached(endpoint, propose, settings):
    settings.EGRESS_ALLOWED_NETWORKS = []
    found = propose()
    assert code(found) == "model_unavailable"
    assert "127.0.0.1" not in found.detail
    assert endpoint.asked == []


@pytest.mark.django_db
def test_a_proposal_without_a_prompt_asks_no_model_and_is_blocked(endpoint, propose):
    found = propose("  ")
    assert (found.source, found.composite_score, found.blocked) == ("none", None, True)
    assert endpoint.asked == []


@pytest.mark.django_db
def test_no_connection_is_held_while_the_model_thinks(endpoint, propose, monkeypatch):
    released = []
    monkeypatch.setattr("approvals.candidates.model.release_connection", lambda: released.append(len(endpoint.asked)))
    propose()
    assert released == [0]


SENT = ("Send 100.", "Send 100.")
# chosen, risk, sent, in the demonstration, endpoint configured -> source, or the reason of the refusal
SOURCES = [
    ("", "medium", SENT, False, True, "caller"),
    ("", "low", SENT, False, False, "caller"),
    ("", "high", SENT, False, True, "candidates_refused"),
    ("", "high", SENT, False, False, "candidates_refused"),
    ("", "high", SENT, True, True, "caller"),
    ("", "high", None, False, True, "model"),
    ("", "high", None, False, False, "none"),
    ("", "high", None, True, True, "model"),
    ("", "high", None, True, False, "demo"),
    ("", "medium", None, False, True, "model"),
    ("", "medium", None, False, False, "none"),
    ("caller", "medium", SENT, False, True, "caller"),
    ("caller", "medium", None, False, True, "none"),
    ("caller", "high", SENT, False, True, "candidates_refused"),
    ("caller", "high", None, False, True, "none"),
    ("caller", "high", SENT, True, True, "caller"),
    ("model", "low", None, False, True, "model"),
    ("model", "low", SENT, False, True, "candidates_refused"),
    ("model", "low", SENT, True, True, "candidates_refused"),
    ("model", "low", None, False, False, "model_unavailable"),
    ("model", "low", None, True, False, "model_unavailable"),
    ("demo", "high", None, True, True, "demo"),
    ("demo", "high", SENT, True, True, "candidates_refused"),
    ("demo", "low", None, False, True, "none"),
    ("demo", "low", SENT, False, True, "candidates_refused"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("chosen", "risk", "sent", "demo", "configured", "expected"), SOURCES)
def test_who_is_asked_for_outputs(endpoint, propose, settings, chosen, risk, sent, demo, configured, expected):
    settings.DEMO = demo
    if not configured:
        settings.MODEL_URL = ""
    found = propose(outputs=sent, risk=risk, candidate_source=chosen)
    assert (code(found) or found.source) == expected
    if not isinstance(found, Stop):
        assert (found.outputs is None) == (expected == "none")
        assert found.blocked == (expected == "none")
    assert bool(endpoint.asked) == (expected == "model")


@pytest.mark.django_db
def test_what_the_operator_set_is_what_is_measured_by(propose):
    weights = {"output_instability_weight": 0.2, "numeric_variance_weight": 0.8, "prompt_drift_weight": 0.0}
    found = propose(outputs=("pay 100", "pay 110"), block_at=0.2, commit_within_s=60, **weights)
    assert found.weights == Weights(0.2, 0.8, 0.0)
    assert (found.block_at, found.commit_within_s) == (0.2, 60)
    assert (found.composite_score, found.blocked) == (0.213333, True)
    assert not propose(outputs=("pay 100", "pay 110"), block_at=0.3, **weights).blocked


@pytest.mark.django_db
def test_without_settings_the_defaults_hold_and_without_a_baseline_drift_is_left_out(propose):
    found = propose(outputs=("pay 100", "pay 100"))
    assert found.weights == Weights(0.5, 0.3, 0.2)
    assert (found.block_at, found.commit_within_s) == (0.45, 900)
    assert (found.signals.prompt_drift, found.baseline_id, found.composite_score) == (None, None, 0.0)


@pytest.mark.django_db
def test_the_baseline_in_force_is_the_one_that_counts(propose):
    tool = Tool.objects.get(name="send_message")
    old = {"prompt_masked": "…", "approved_by": "alice", "retired_at": timezone.now()}
    PromptBaseline.objects.create(tool=tool, prompt_hash=prompt_hash("the old prompt"), **old)
    assert propose("the old prompt", SENT).signals.prompt_drift is None
    new = PromptBaseline.objects.create(
        tool=tool, prompt_hash=prompt_hash("Send it"), prompt_masked="…", approved_by="alice"
    )
    same, other = propose(" send  IT", SENT), propose("the old prompt", SENT)
    assert (same.signals.prompt_drift, same.baseline_id, same.prompt_hash) == (0.0, new.pk, new.prompt_hash)
    assert (other.signals.prompt_drift, other.composite_score) == (1.0, 0.2)
    assert propose("", SENT).signals.prompt_drift == 1.0


@pytest.mark.django_db
def test_an_assessment_costs_two_queries(propose):
    with CaptureQueriesContext(connection) as captured:
        propose(outputs=SENT)
    asked = [q["sql"] for q in captured.captured_queries if "approvals_" in q["sql"]]
    assert len(asked) == 2


@pytest.mark.django_db
def test_a_model_that_is_demanded_and_not_configured_denies_and_says_so(endpoint, propose, settings):
    assert code(propose(candidate_source="model")) is None
    settings.MODEL_URL = ""
    found = propose(candidate_source="model")
    assert (code(found), found.detail) == ("model_unavailable", "No model endpoint is configured.")


@pytest.mark.usefixtures("outside")
@pytest.mark.django_db
def test_outside_the_demonstration_its_generator_says_nothing(propose, settings, monkeypatch):
    assert propose(candidate_source="demo").source == "none"
    settings.DEMO = True
    assert propose(candidate_source="demo").source == "demo"
    # it does not rest on who chose it either
    settings.DEMO = False
    monkeypatch.setattr("approvals.integrity.source_of", lambda *_, **__: CandidateSource.DEMO)
    assert propose(candidate_source="demo").outputs is None


def scored(prompt):
    outputs = generate(prompt, TEMPERATURES[0]), generate(prompt, TEMPERATURES[1])
    return composite_score(signals_of(outputs, "", None), Weights())


@pytest.mark.parametrize(
    "prompt", ["Send 100 to acct_1", "Tell ACME about the outage", "Pay bill 7 or 8", "What is due today?", "", "  "]
)
def test_the_generator_agrees_with_itself_about_a_plain_prompt(prompt):
    assert scored(prompt) == 0.0


@pytest.mark.parametrize(
    "prompt",
    [
        "Maybe send 100 to acct_1",
        "PERHAPS pay",
        "Send roughly 100",
        "Send approximately 100",
        "Send about 100",
        "Send about $100",
        "Pay either bill 7 or bill 8",
        "Pay it?? Now?",
        "Pay it? ?",
    ],
)
def test_the_generator_disagrees_with_itself_about_doubt(prompt):
    assert is_blocked(scored(prompt), 0.45)
    # also where the prompt is the approved one
    assert is_blocked(scored(prompt) * 0.8, 0.45)


@given(st.text(), st.text(), st.floats(0, 2))
def test_the_generator_says_the_same_to_the_same_and_doubt_always_blocks(before, after, temperature):
    prompt = f"{before} maybe {after}"
    assert generate(before, temperature) == generate(before, temperature)
    assert is_blocked(scored(prompt), 0.45)
    assert is_blocked(scored(prompt + " 4 different actions fit these words so somebody should decide"), 0.45)
