"""What is sent, and what a success becomes."""

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from mcp_observatory import StillWaiting, ToolClient, instrument
from scripted_server import KEY, Scripted, ScriptedServer


def test_call_sends_key_arguments_and_headers(server: ScriptedServer, client: ToolClient) -> None:
    client.call("a/b", {"x": 1}, y="é", idempotency_key="i-1", session_id="s-1", traceparent="00-aa-bb-01")
    hit = server.hits[0]
    assert (hit.method, hit.path, json.loads(hit.body)) == ("POST", "/tools/a%2Fb", {"x": 1, "y": "é"})
    sent = {"x-api-key": KEY, "idempotency-key": "i-1", "x-session-id": "s-1", "traceparent": "00-aa-bb-01"}
    assert sent.items() <= hit.headers.items()


def test_call_inside_a_span_continues_its_trace(server: ScriptedServer, client: ToolClient) -> None:
    with instrument("s").span("tool_call", tool_name="outer") as span:
        client.call("t")
        client.call("t", traceparent="00-aa-bb-01")
        client.propose("t", {})
    client.call("t")
    sent = [hit.headers.get("traceparent") for hit in server.hits]
    assert sent == [span.traceparent, "00-aa-bb-01", span.traceparent, None]


def test_result_tells_what_the_call_met(server: ScriptedServer, client: ToolClient) -> None:
    held = {"requires_confirmation": True, "pending_action_id": "p-1", "customer": None}
    server.script = [
        Scripted(body={"sent": True}, headers={"X-Trace-Id": "abc"}),
        Scripted(body=held),
        Scripted(body={"dry_run": True, "would": {}}),
        Scripted(body={"ticket": {}, "idempotent_replay": True}),
        Scripted(body={}, headers={"Idempotency-Replayed": "true"}),
    ]
    done, waiting, dry, body_replay, header_replay = (client.call("t") for _ in range(5))
    assert dict(done) == done.body == {"sent": True}
    assert (done.trace_id, done.held, done.replayed, done.dry_run) == ("abc", False, False, False)
    assert (done.pending_action_id, waiting.held, waiting.pending_action_id) == (None, True, "p-1")
    assert dry.dry_run
    assert body_replay.replayed
    assert header_replay.replayed


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_nothing_is_sent_when_name_is_no_segment(server: ScriptedServer, client: ToolClient, name: str) -> None:
    for act in (client.call, client.confirm, client.action, client.cancel):
        with pytest.raises(ValueError, match="name"):
            act(name)
    assert not server.hits


@pytest.mark.parametrize(
    ("arguments", "options", "kind"),
    [
        ({"x": 1}, {"x": 2}, TypeError),
        ({"x": float("nan")}, {}, ValueError),
        ({"x": object()}, {}, TypeError),
        ({}, {"idempotency_key": ""}, ValueError),
        ({}, {"idempotency_key": "a\r\nX-Evil: 1"}, ValueError),
        ({}, {"session_id": "é"}, ValueError),
    ],
)
def test_nothing_is_sent_when_call_cannot_be_written(
    server: ScriptedServer,
    client: ToolClient,
    arguments: dict[str, Any],
    options: dict[str, Any],
    kind: type[Exception],
) -> None:
    with pytest.raises(kind):
        client.call("t", arguments, **options)
    assert not server.hits


def test_listing_is_sent_once_when_nothing_changed(server: ScriptedServer, client: ToolClient) -> None:
    first = Scripted(body={"tools": [{"name": "a"}]}, headers={"ETag": '"1"'})
    second = Scripted(body={"tools": []}, headers={"ETag": '"2"'})
    server.script = [first, Scripted(304, headers={"ETag": '"1"'}), second, Scripted(304)]
    listed = client.list_tools()
    listed[0]["name"] = "altered by the caller"
    assert [client.list_tools() for _ in range(3)] == [[{"name": "a"}], [], []]
    assert [hit.headers.get("if-none-match") for hit in server.hits] == [None, '"1"', '"1"', '"2"']


def test_actions_are_asked_decided_and_cancelled(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [Scripted(202, {"ok": True, "status": "pending"})]
    assert client.confirm("p-1", approve=False, reason="no")["status"] == "pending"
    client.action("p-1", wait=7)
    client.cancel("p-1")
    client.decision("t", {"x": 1}, agent="alice")
    client.health()
    assert [(hit.method, hit.path) for hit in server.hits] == [
        ("POST", "/confirm/p-1"),
        ("GET", "/actions/p-1?wait=7"),
        ("DELETE", "/actions/p-1"),
        ("POST", "/decisions"),
        ("GET", "/health"),
    ]
    assert json.loads(server.hits[0].body) == {"approve": False, "reason": "no"}
    assert json.loads(server.hits[3].body) == {"tool": "t", "args": {"x": 1}, "agent": "alice"}
    assert "x-api-key" not in server.hits[4].headers


def test_wait_for_answers_when_action_ended(server: ScriptedServer, client: ToolClient, slept: list[float]) -> None:
    server.script = [Scripted(body={"status": status}) for status in ("pending", "approved", "executing", "done")]
    assert client.wait_for("p-1", 60)["status"] == "done"
    assert server.hits[0].path == "/actions/p-1?wait=30"
    assert slept == [0.25, 0.25, 0.25]


def test_wait_for_raises_when_time_is_over(server: ScriptedServer, client: ToolClient) -> None:
    server.otherwise = Scripted(body={"status": "pending", "pending_action_id": "p-1"})
    with pytest.raises(StillWaiting, match="p-1 is still pending") as caught:
        client.wait_for("p-1", 0)
    assert caught.value.action["status"] == "pending"
    assert len(server.hits) == 1


def test_threads_keep_one_connection_each(server: ScriptedServer, client: ToolClient) -> None:
    server.otherwise = Scripted(body={"tools": []}, headers={"ETag": '"1"'})
    together = threading.Barrier(4)

    def work() -> None:
        together.wait(5)
        for _ in range(5):
            client.list_tools()
            client.call("t")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.hits) == 40
    assert len({hit.peer for hit in server.hits}) == 4


def test_kept_connection_is_replaced_when_server_closed_it(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [Scripted(headers={"Connection": "close"}), Scripted()]
    client.call("t")
    client.call("t")
    client.close()
    client.call("t")
    assert len(server.hits) == len({hit.peer for hit in server.hits}) == 3


def test_kept_connection_is_replaced_when_server_hung_up(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [Scripted(how="hang up")]
    client.call("t")
    assert server.closed_one.wait(5)
    client.call("t")
    assert len(server.hits) == len({hit.peer for hit in server.hits}) == 2


def test_forked_child_opens_its_own_connection(server: ScriptedServer, client: ToolClient) -> None:
    client.call("t")
    child = os.fork()
    if child == 0:
        try:
            client.call("t")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    client.call("t")
    parent, forked, again = (hit.peer for hit in server.hits)
    assert parent == again != forked


def test_base_url_may_have_a_path(server: ScriptedServer, client_of: Callable[..., ToolClient]) -> None:
    client_of(server.url + "/observatory/").health()
    assert server.hits[0].path == "/observatory/health"


def test_arguments_that_are_no_mapping_are_told_how_to_be_written() -> None:
    with ToolClient("http://127.0.0.1:1", "key") as client, pytest.raises(TypeError, match="query="):
        client.call("search_customer", "nordic")  # type: ignore[arg-type]  # the mistake under test
