"""The HTTP of the MCP door by hand: what a client may accept, whose session it is, what a stream looks like."""

import json
import math
import threading

import pytest

from observatory.doors.mcp.changes import Changes, Subscriber
from observatory.doors.mcp.running_call import CallFrames, RunningCall
from observatory.doors.mcp.sse import slots
from tests.streaming import slow_tools
from tools.actions.tools import sync_python_tools
from tools.cancellation import Cancellation
from tools.snapshot import current

BOTH = "application/json, text/event-stream"
STATELESS = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@pytest.fixture
def caller(world):
    slow_tools.register()
    sync_python_tools()
    yield world.caller(world.allowing("count_slowly", "search_customer"))
    slow_tools.forget()


def rpc(caller, method, params=None, request_id=1, **headers):
    body = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    return caller.post("/mcp", body | ({} if request_id is None else {"id": request_id}), **headers)


def stateless(caller, method, params, **headers):
    meta = STATELESS | params.pop("_meta", {})
    names = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": method, "Accept": BOTH}
    named = {"Mcp_Name": params["name"]} if "name" in params else {}
    return rpc(caller, method, params | {"_meta": meta}, **(names | named | headers))


def counting(pause_s=0.3, token="t"):
    arguments = {"steps": 4, "pause_s": pause_s}
    return {"name": "count_slowly", "arguments": arguments} | ({"_meta": {"progressToken": token}} if token else {})


def events(answer):
    """The JSON of each event; comments are skipped."""
    blocks = b"".join(answer.streaming_content).decode().split("\n\n")
    answer.close()
    return [json.loads(block.partition("data: ")[2]) for block in blocks if block.startswith("event: message\n")]


@pytest.mark.django_db(transaction=True)
def test_a_stream_is_progress_and_then_the_response_and_nothing_keeps_it(caller):
    answer = rpc(caller, "tools/call", counting(), Accept=BOTH)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/event-stream")
    assert (answer["Cache-Control"], answer["X-Accel-Buffering"]) == ("no-store, no-transform", "no")
    assert "Content-Encoding" not in answer
    *told, response = events(answer)
    assert {event["method"] for event in told} == {"notifications/progress"}
    assert {event["params"]["progressToken"] for event in told} == {"t"}
    assert told[-1]["params"]["progress"] == 4
    assert response["result"]["structuredContent"] == {"counted": 4}
    assert slots.open == 0


@pytest.mark.django_db(transaction=True)
def test_a_call_is_answered_by_plain_json_where_it_is_not_streamed(caller, settings):
    plainly = [(None, BOTH, 9), ("t", "application/json", 9), ("t", "*/*", 9), ("t", BOTH, 0)]
    for token, accept, settings.MCP_STREAMS in plainly:
        answer = rpc(caller, "tools/call", counting(0.05, token), Accept=accept)
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
        assert answer["Cache-Control"] == "no-store"
        assert answer.json()["result"]["structuredContent"] == {"counted": 4}


@pytest.mark.django_db(transaction=True)
def test_what_fails_at_once_keeps_its_status_though_it_might_have_been_a_stream(caller):
    wrong = {"name": "count_slowly", "arguments": [], "_meta": {"progressToken": 1}}
    assert stateless(caller, "tools/call", wrong).status_code == 400
    unknown = stateless(caller, "tools/call", {"name": "no_such_tool", "_meta": {"progressToken": 1}})
    assert (unknown.status_code, unknown.json()["error"]["data"]["code"]) == (400, "unknown_tool")
    other = stateless(caller, "tools/call", counting(0), Mcp_Name="search_customer")
    assert (other.status_code, other.json()["error"]["code"]) == (400, -32020)


@pytest.mark.django_db
def test_a_client_that_takes_streams_only_gets_one_event_and_who_takes_neither_is_refused(caller):
    only = rpc(caller, "ping", Accept="text/event-stream")
    assert (only.status_code, only["Content-Type"]) == (200, "text/event-stream")
    assert only.content == b'event: message\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n'
    refused = rpc(caller, "ping", Accept="text/html")
    assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")
    listening = {"notifications": {"toolsListChanged": True}}
    assert stateless(caller, "subscriptions/listen", listening, Accept="application/json").status_code == 406


@pytest.mark.django_db
@pytest.mark.parametrize("accept", [BOTH, "application/json"])
def test_origin_and_host_are_asked_before_any_stream(caller, accept):
    for method, params in [("tools/call", counting(0)), ("subscriptions/listen", {"notifications": {}})]:
        foreign = stateless(caller, method, dict(params), Accept=accept, Origin="https://evil.example.com")
        assert (foreign.status_code, foreign.json()["code"]) == (403, "denied_origin")
        rebound = stateless(caller, method, dict(params), Accept=accept, Host="evil.example.com")
        assert (rebound.status_code, rebound.json()["code"]) == (400, "invalid_parameter")
    assert slots.open == 0


@pytest.mark.django_db
def test_a_session_is_known_for_genuine_by_its_key_only_and_never_required(world, caller):
    session = rpc(caller, "initialize", HELLO)["Mcp-Session-Id"]
    assert session.isascii()
    assert session != rpc(caller, "initialize", HELLO)["Mcp-Session-Id"]
    assert rpc(caller, "ping", Mcp_Session_Id=session).status_code == 200
    assert rpc(caller, "ping").status_code == 200
    other = world.caller(caller.key.policy, name="other")
    name, _, proof = session.partition(".")
    for wrong, who in [(session, other), (f"x{name}.{proof}", caller), (name, caller), ("", caller), ("é.é", caller)]:
        answer = rpc(who, "ping", Mcp_Session_Id=wrong)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        word = rpc(who, "notifications/cancelled", {"requestId": 1}, request_id=None, Mcp_Session_Id=wrong)
        assert word.status_code == 404
    # Whoever begins anew has lost its session, and the stateless era has none.
    assert rpc(caller, "initialize", HELLO, Mcp_Session_Id="lost").status_code == 200
    assert stateless(caller, "tools/list", {}, Mcp_Session_Id="lost").status_code == 200
    assert caller.delete("/mcp", Mcp_Session_Id=session).status_code == 405


@pytest.mark.django_db
def test_a_session_outlives_a_change_of_the_master_secret(caller, settings):
    session = rpc(caller, "initialize", HELLO)["Mcp-Session-Id"]
    settings.MASTER_SECRETS_RETIRED, settings.MASTER_SECRET = [settings.MASTER_SECRET], "another-" * 8
    assert rpc(caller, "ping", Mcp_Session_Id=session).status_code == 200
    settings.MASTER_SECRETS_RETIRED = []
    assert rpc(caller, "ping", Mcp_Session_Id=session).status_code == 404


@pytest.mark.django_db
def test_each_era_is_promised_what_it_gets(caller):
    hello = rpc(caller, "initialize", HELLO).json()["result"]
    discovered = stateless(caller, "server/discover", {}).json()["result"]
    assert hello["capabilities"]["tools"]["listChanged"] is False
    assert discovered["capabilities"]["tools"]["listChanged"] is True
    assert rpc(caller, "subscriptions/listen", {"notifications": {}}, Accept=BOTH).json()["error"]["code"] == -32601
    assert caller.get("/mcp", Accept="text/event-stream").status_code == 405


@pytest.mark.django_db
def test_a_word_that_names_no_call_is_taken_and_changes_nothing(caller):
    session = rpc(caller, "initialize", HELLO)["Mcp-Session-Id"]
    for params in ({}, {"requestId": None}, {"requestId": [1]}, {"requestId": 7}, {"requestId": "x" * 10_000}):
        word = rpc(caller, "notifications/cancelled", params, request_id=None, Mcp_Session_Id=session)
        assert (word.status_code, word.content) == (202, b"")


@pytest.mark.django_db
@pytest.mark.parametrize("lasts", [True, False], ids=["the proof lasts", "the proof ends"])
def test_a_subscription_ends_with_the_proof_that_opened_it_though_its_key_goes_on(caller, lasts):
    snapshot, told = current(), []
    key = snapshot.keys_by_public_id[caller.key.public_id]
    subscriber = Subscriber(key, lambda *_: key if lasts else None, snapshot.version, "", lambda: told.append(1))
    listeners = Changes()
    listeners.subscribe(subscriber)
    try:
        listeners.told("")
    finally:
        listeners.leave(subscriber)
    assert (subscriber.is_over, subscriber.has_changed, bool(told)) == (not lasts, False, not lasts)


# a running call by itself


def frames_of(reply, token="t"):
    running = RunningCall(lambda: reply(running), Cancellation(), 1, token)
    running.start()
    slot = slots.take()
    assert slot
    running.hold(slot)
    return running, CallFrames(running, cancels=True)


def test_progress_only_goes_up_and_is_a_number_without_secrets():
    def reply(running):
        for done in (1, math.nan, 3, 2, True, "4", math.inf):
            running.progressed.report(done, math.nan, "Authorization: Bearer sk-ant-REDACTED\x1b[31m")
        return {"result": {}}, 200

    _, frames = frames_of(reply)
    told = [json.loads(sent.partition(b"data: ")[2]) for sent in frames if not sent.startswith(b":")]
    assert [event["params"]["progress"] for event in told[:-1]] in ([3], [1, 3])
    assert "total" not in told[0]["params"]
    assert "abcdefghij" not in told[0]["params"]["message"]
    assert "\x1b" not in told[0]["params"]["message"]


def test_thousands_of_calls_leave_no_thread_and_no_slot_behind():
    before = threading.active_count()
    goes_on = threading.Event()
    for number in range(2_000):
        running, frames = frames_of(lambda _: ({"result": {}}, 200))
        if number % 3:
            assert list(frames)
        frames.close()
        assert running.plain()
    left = [frames_of(lambda _: (goes_on.wait(30), ({"result": {}}, 200))[1]) for _ in range(8)]
    for _, frames in left:
        frames.close()
    # They were taken back, but they run: each still has its place.
    assert (slots.open, [running.cancellation.is_cancelled for running, _ in left]) == (8, [True] * 8)
    goes_on.set()
    for running, _ in left:
        running.plain()
    for thread in threading.enumerate():
        if thread.name == "mcp-call":
            thread.join(10)
    assert (slots.open, threading.active_count()) == (0, before)


def test_a_call_that_fails_after_its_stream_began_is_answered_by_an_error():
    def reply(running):
        running.progressed.report(1, None, "")
        raise RuntimeError("unforeseen")

    _, frames = frames_of(reply)
    *_, last = frames
    assert json.loads(last.partition(b"data: ")[2])["error"]["code"] == -32603
