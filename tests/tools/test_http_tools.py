"""HTTP tools against a real endpoint: where they may go, what they send, what each answer means."""

import json
from urllib.parse import urlsplit

import pytest

from telemetry.models import Span
from telemetry.recorder import SYSTEM
from tests.answering import answering
from tools.actions.tools import declare, save_endpoint, save_tool
from tools.models import HttpEndpoint, Policy, Tool
from tools.registry import Declaration

pytestmark = pytest.mark.django_db
SCHEMA = {
    "type": "object",
    "properties": {"order_id": {"type": "string"}, "note": {"type": "string"}},
    "required": ["order_id"],
}


@pytest.fixture
def endpoint():
    with answering() as server:
        server.answer = (200, {}, b'{"state": "sent"}')
        yield server


@pytest.fixture
def open_loopback(settings):
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]


def http_tool(url, *, method="POST", secret=None, **fields):
    tool = save_tool(Tool(name="orders.note", executor="http", network="yes", **fields), SYSTEM)
    declare(tool, Declaration("orders.note", "Note", "Notes on an order.", SCHEMA, None, {}, {}), SYSTEM)
    save_endpoint(
        HttpEndpoint(tool=tool, method=method, url=url, secret_header="Authorization" if secret else ""),
        SYSTEM,
        secret=secret,
    )
    return tool


def call(world, **headers):
    policy = Policy.objects.filter(name="orders").first() or world.allowing("orders.*", name="orders")
    return world.caller(policy).call("orders.note", {"order_id": "a/b ?c", "note": "hei"}, **headers)


@pytest.mark.usefixtures("open_loopback")
def test_a_post_fills_the_path_and_sends_the_rest_as_canonical_json(world, endpoint):
    http_tool(endpoint.url + "/orders/{order_id}/notes", secret="Bearer s3cret")
    answer = call(world)
    assert (answer.status_code, answer.json()) == (200, {"state": "sent"})
    ((method, path, headers, body),) = endpoint.asked
    assert (method, path, body) == ("POST", "/orders/a%2Fb%20%3Fc/notes", b'{"note":"hei"}')
    assert headers["Authorization"] == "Bearer s3cret"
    assert answer["X-Trace-Id"] in headers["traceparent"]
    assert headers["Idempotency-Key"]
    assert "X-Api-Key" not in {name.title() for name in headers}


@pytest.mark.usefixtures("open_loopback")
@pytest.mark.parametrize(("status", "error"), [(200, ""), (500, "500")])
def test_the_request_is_a_span_below_the_calls_and_the_endpoint_continues_it(world, endpoint, status, error):
    http_tool(endpoint.url + "/orders/{order_id}", secret="Bearer s3cret")
    endpoint.answer = (status, {}, b"{}")
    answer = call(world)
    above, below = Span.objects.filter(trace_id=answer["X-Trace-Id"]).order_by("start_time")
    assert (above.kind, below.kind, below.parent_span_id) == ("tool_call", "upstream", above.span_id)
    assert endpoint.asked[0][2]["traceparent"].split("-")[1:3] == [below.trace_id, below.span_id]
    assert (below.name, below.agent, below.tool_name) == ("POST 127.0.0.1", above.agent, "orders.note")
    assert (below.error_type, below.decision) == (error, "error" if error else "ok")
    assert (above.error_type, above.decision) == (("tool_failed", "error") if error else ("", "ok"))
    assert above.start_time <= below.start_time <= below.end_time <= above.end_time
    # Of the address only the host: the rest is made of arguments.
    assert below.attributes == {
        "server.address": "127.0.0.1",
        "http.request.method": "POST",
        "http.response.status_code": status,
    }


@pytest.mark.usefixtures("open_loopback")
def test_a_request_that_is_not_answered_is_a_span_with_its_error(world):
    with answering() as gone:
        http_tool(gone.url)
    answer = call(world)
    assert answer.status_code == 502
    (below,) = Span.objects.filter(trace_id=answer["X-Trace-Id"], kind="upstream")
    assert (below.error_type, below.decision) == ("unreachable", "error")


@pytest.mark.usefixtures("open_loopback")
def test_a_get_sends_arguments_as_query(world, endpoint):
    http_tool(endpoint.url + "/orders", method="GET", read_only=True)
    assert call(world).status_code == 200
    assert endpoint.asked[0][1] == "/orders?note=hei&order_id=a%2Fb+%3Fc"


@pytest.mark.usefixtures("open_loopback")
@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ((200, {}, b'{"ok": true}'), 200, None),
        ((200, {}, b"[1, 2]"), 200, None),
        ((204, {}, b""), 200, None),
        ((200, {}, b"<html>"), 502, "tool_output_invalid"),
        ((200, {}, b'{"a":1,"a":2}'), 502, "tool_output_invalid"),
        ((400, {}, b"{}"), 422, "tool_error"),
        ((404, {}, b"{}"), 422, "tool_error"),
        ((401, {}, b"{}"), 502, "tool_unreachable"),
        ((429, {}, b"{}"), 502, "tool_unreachable"),
        ((409, {}, b"{}"), 502, "tool_failed"),
        ((500, {}, b"{}"), 502, "tool_failed"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), 502, "tool_failed"),
    ],
)
def test_each_answer_has_its_meaning(world, endpoint, answer, status, code):
    http_tool(endpoint.url + "/x")
    endpoint.answer = answer
    got = call(world)
    assert got.status_code == status
    assert got.json().get("code") == code


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "0.0.0.0"]
)
def test_an_address_inside_is_refused_at_connect_time_and_nothing_arrives(world, endpoint, settings, host):
    port = urlsplit(endpoint.url).port
    tool = http_tool("https://orders.example.com/x")
    HttpEndpoint.objects.filter(tool=tool).update(url=f"http://{host}:{port}/x")
    refused = call(world)
    assert refused.status_code == 502
    assert refused.json()["code"] in ("egress_refused", "tool_unreachable")
    assert endpoint.asked == []


def test_the_same_call_passes_where_the_operator_opens_the_network(world, endpoint, settings):
    http_tool("https://orders.example.com/x")
    HttpEndpoint.objects.update(url=f"{endpoint.url}/x")
    assert call(world).json()["code"] == "egress_refused"
    settings.EGRESS_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    assert call(world, Idempotency_Key="k").status_code == 200
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.com", "http://169.254.169.254/latest", "nonsense"]
)
def test_a_url_that_can_never_be_called_is_refused_in_the_form(world, url):
    from django.core.exceptions import ValidationError

    with pytest.raises(ValidationError) as refused:
        http_tool(url)
    assert "url" in refused.value.message_dict


@pytest.mark.usefixtures("open_loopback")
def test_a_refused_connection_ran_nothing_and_frees_the_key(world, endpoint):
    http_tool("http://127.0.0.1:1/x")
    first = call(world, Idempotency_Key="k")
    assert (first.status_code, first.json()["code"]) == (502, "tool_unreachable")
    HttpEndpoint.objects.update(url=f"{endpoint.url}/x")
    assert call(world, Idempotency_Key="k").status_code == 200


@pytest.mark.usefixtures("open_loopback")
def test_a_redirect_after_the_request_is_unknown_and_keeps_the_key(world, endpoint):
    http_tool(endpoint.url + "/x")
    endpoint.answer = (303, {"Location": "/elsewhere"}, b"")
    for _ in range(2):
        assert call(world, Idempotency_Key="k").json()["code"] == "tool_failed"
    assert len(endpoint.asked) == 1


@pytest.mark.usefixtures("open_loopback")
def test_an_answer_that_does_not_fit_the_output_schema_is_said_to_have_run(world, endpoint):
    tool = http_tool(endpoint.url + "/x")
    assert call(world).status_code == 200
    output = {"type": "object", "properties": {"state": {"type": "integer"}}}
    declare(tool, Declaration("orders.note", "Note", "Notes on an order.", SCHEMA, output, {}, {}), SYSTEM)
    answer = call(world)
    assert (answer.status_code, answer.json()["code"]) == (502, "tool_output_invalid")


@pytest.mark.usefixtures("open_loopback")
def test_a_time_out_is_unknown_and_never_runs_again(world, endpoint):
    http_tool(endpoint.url + "/x", timeout_s=1)
    endpoint.go_on.clear()
    first = call(world, Idempotency_Key="k")
    endpoint.go_on.set()
    assert (first.status_code, first.json()["code"]) == (504, "tool_timeout")
    again = call(world, Idempotency_Key="k")
    assert (again.status_code, again.json()["code"]) == (504, "tool_timeout")
    assert again["Idempotency-Replayed"] == "true"
    assert len(endpoint.asked) == 1


def test_the_secret_is_stored_sealed_and_never_shown(world):
    http_tool("https://orders.example.com/x", secret="Bearer hunter2")
    endpoint = HttpEndpoint.objects.get()
    assert b"hunter2" not in bytes(endpoint.sealed_secret)
    assert "hunter2" not in json.dumps(list(HttpEndpoint.objects.values_list("url", "secret_header")))


@pytest.mark.usefixtures("open_loopback")
def test_a_long_result_is_cut_with_a_handle_to_the_whole(world, endpoint):
    http_tool(endpoint.url + "/x", result_limit_bytes=1024)
    endpoint.answer = (200, {}, json.dumps({"text": "ø" * 500_000}, ensure_ascii=False).encode())
    caller = world.caller(world.allowing("orders.*"))
    body = caller.call("orders.note", {"order_id": "1"}).json()
    assert body["truncated"] is True
    assert len(body["start"].encode()) <= 1024
    assert caller.get(f"/results/{body['handle']}").json() == {"text": "ø" * 500_000}
    other = world.caller(caller.key.policy, name="other-agent")
    assert other.get(f"/results/{body['handle']}").status_code == 404


@pytest.mark.usefixtures("open_loopback")
@pytest.mark.parametrize("value", ["..", ".", ""])
@pytest.mark.parametrize("path", ["/orders/{order_id}/refund", "/orders/{order_id}", "/{order_id}/{order_id}"])
def test_an_argument_never_leads_to_another_path(world, endpoint, path, value):
    http_tool(endpoint.url + path)
    caller = world.caller(world.allowing("orders.*"))
    assert caller.call("orders.note", {"order_id": "7"}).status_code == 200
    refused = caller.call("orders.note", {"order_id": value})
    assert (refused.status_code, refused.json()["code"]) == (422, "tool_error")
    assert len(endpoint.asked) == 1


@pytest.mark.usefixtures("open_loopback")
def test_an_argument_never_repeats_what_the_address_fixes(world, endpoint):
    http_tool(endpoint.url + "/orders?note=fixed", method="GET", read_only=True)
    caller = world.caller(world.allowing("orders.*"))
    assert caller.call("orders.note", {"order_id": "7"}).status_code == 200
    assert caller.call("orders.note", {"order_id": "7", "note": "other"}).json()["code"] == "tool_error"
    assert [path for _, path, _, _ in endpoint.asked] == ["/orders?note=fixed&order_id=7"]


@pytest.mark.usefixtures("open_loopback")
def test_what_was_approved_for_one_address_is_not_sent_to_another(world, endpoint):
    from django.utils import timezone

    from approvals.actions import decide
    from approvals.models import PendingAction
    from observatory.approved import run_approved

    tool = http_tool(endpoint.url + "/approved", requires_approval=True)
    body = world.caller(world.allowing("orders.*")).call("orders.note", {"order_id": "7"}).json()
    action = PendingAction.objects.get(pk=body["pending_action_id"])
    decide(action.pk, world.bob, approve=True, reason="", via="admin", now=timezone.now())
    moved = HttpEndpoint.objects.get(tool=tool)
    moved.url = endpoint.url + "/elsewhere"
    save_endpoint(moved, SYSTEM)
    assert run_approved(action.pk, timezone.now()).code == "tool_changed"
    assert endpoint.asked == []


@pytest.mark.usefixtures("open_loopback")
def test_a_call_goes_to_the_address_that_is_set_now(world, endpoint):
    tool = http_tool(endpoint.url + "/one")
    call(world)
    moved = HttpEndpoint.objects.get(tool=tool)
    moved.url = endpoint.url + "/two"
    save_endpoint(moved, SYSTEM)
    call(world)
    assert [path for _, path, _, _ in endpoint.asked] == ["/one", "/two"]


def test_a_python_tool_does_not_take_an_http_tools_name(world):
    from tools.actions.tools import sync_python_tools

    Tool.objects.filter(name="send_message").update(executor="http")
    before = Tool.objects.get(name="send_message").current_version_id
    assert "HTTP tool" in sync_python_tools()["send_message"]
    assert Tool.objects.get(name="send_message").current_version_id == before
