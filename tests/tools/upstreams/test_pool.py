"""The pool against real servers, by every transport and in both eras."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.tools.upstreams.conftest import KINDS, until
from tools.cancellation import Cancellation
from tools.upstreams.answers import OutcomeUnknown, Refused, Unreachable

pytestmark = pytest.mark.slow


def kinds(*quick):
    """Every kind; what is not quick starts a process, which takes seconds."""
    return [kind if kind in quick else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]


every_kind = pytest.mark.parametrize("upstream", kinds("stdio"), indirect=True)
every_kind_slowly = pytest.mark.parametrize("upstream", kinds(), indirect=True)
every_shared_kind = pytest.mark.parametrize("shared", kinds("http", "json", "websocket", "sse"), indirect=True)
OURS = {"traceparent": "of another", "tracestate": "a=b", "baggage": "secret=1"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("shared", KINDS, indirect=True)
def test_what_is_sent_and_what_comes_back(shared_pool, shared):
    offer = shared_pool.offer(shared.target)
    assert (offer.server_name, offer.server_version) == ("tested", "7")
    assert offer.protocol_version == ("2025-11-25" if shared.kind == "sse" else "2026-07-28")
    assert offer.tools[0] == {"name": "echo", "description": "Does echo.", "inputSchema": {"type": "object"}}
    meta = {"traceparent": TRACE, "baggage": "secret=1", "org.example/x": [1, None]}
    answer = shared_pool.call(shared.target, "echo", {"a": None, "å": [1.5]}, timeout_s=10, meta=meta)
    assert (list(answer.content), answer.is_error) == ([{"type": "text", "text": "echo"}], False)
    assert answer.structured["arguments"] == {"a": None, "å": [1.5]}
    said = answer.structured["meta"]
    assert (said["traceparent"], said["org.example/x"], "baggage" in said) == (TRACE, [1, None], False)
    assert answer.structured["capabilities"] == {}


@every_shared_kind
def test_progress_is_passed_on(shared_pool, shared):
    told = []
    shared_pool.call(shared.target, "steps", {"steps": 3}, timeout_s=10, progress=lambda *step: told.append(step))
    assert told == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")] or shared.kind == "json"


@every_shared_kind
def test_a_call_that_is_taken_back_is_taken_back_upstream(shared_pool, shared):
    cancellation = Cancellation()
    with ThreadPoolExecutor(1) as executor:
        call = executor.submit(
            shared_pool.call, shared.target, "slow", {"seconds": 30}, timeout_s=30, cancellation=cancellation
        )
        shared.until_called("slow")
        begun = time.monotonic()
        cancellation.cancel()
        with pytest.raises(OutcomeUnknown) as unknown:
            call.result(5)
    assert (unknown.value.why, time.monotonic() - begun < 1) == ("cancelled", True)
    if shared.kind != "json":  # the package's server doesn't look up from a JSON answer that it is making
        shared.until_called("cancelled")
    assert shared_pool.call(shared.target, "echo", {}, timeout_s=10).structured["arguments"] == {}


@every_shared_kind
def test_a_call_over_its_time_is_unknown_and_its_connection_lives_on(shared_pool, shared):
    shared_pool.offer(shared.target)
    begun = time.monotonic()
    with pytest.raises(OutcomeUnknown) as unknown:
        shared_pool.call(shared.target, "slow", {"seconds": 30}, timeout_s=0.5)
    assert (unknown.value.why, time.monotonic() - begun < 1.5) == ("timeout", True)
    if shared.kind != "json":  # the package's server doesn't look up from a JSON answer that it is making
        shared.until_called("cancelled")
    assert shared_pool.call(shared.target, "echo", {}, timeout_s=10).content


@every_kind
def test_a_server_killed_while_called_is_an_unknown_outcome_and_the_next_call_after_its_restart_works(pool, upstream):
    with ThreadPoolExecutor(1) as executor:
        call = executor.submit(pool.call, upstream.target, "slow", {"seconds": 30}, timeout_s=20)
        upstream.until_called("slow")
        upstream.kill()
        with pytest.raises(OutcomeUnknown) as unknown:
            call.result(5)
    assert unknown.value.why == "broken"
    if upstream.kind != "stdio":
        begun = time.monotonic()
        for _ in range(3):
            with pytest.raises(Unreachable):
                pool.call(upstream.target, "echo", {}, timeout_s=20)
        assert time.monotonic() - begun < 2
    upstream.start()
    until(lambda: pool.call(upstream.target, "echo", {}, timeout_s=10).content, within_s=1)
    assert upstream.called == ["slow", "echo"], "nothing ran a second time"


@every_kind_slowly
def test_a_lost_session_is_begun_anew_without_a_word(pool, upstream):
    pool.call(upstream.target, "echo", {}, timeout_s=10)
    upstream.kill()
    upstream.start()
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(pool.call(upstream.target, "echo", {}, timeout_s=10).is_error)
        except (Unreachable, OutcomeUnknown):  # the end of the old connection was seen only by writing to it
            outcomes.append(None)
    assert outcomes[-1] is False
    assert outcomes[0] is False or upstream.kind not in ("http", "json"), "a new session is no news to the caller"
    assert upstream.called == ["echo"] * (1 + outcomes.count(False))


MEANINGS = {
    -32601: (Refused, None),
    -32602: (Refused, None),
    -32600: (Refused, None),
    -32603: (OutcomeUnknown, "broken"),
    -32000: (OutcomeUnknown, "broken"),
    -32001: (OutcomeUnknown, "broken"),
    7: (OutcomeUnknown, "broken"),
    -32700: (OutcomeUnknown, "invalid"),
}


@every_shared_kind
def test_what_each_protocol_error_says_of_whether_it_ran(shared_pool, shared):
    for code, (raises, why) in MEANINGS.items():
        with pytest.raises(raises) as raised:
            shared_pool.call(shared.target, "fail", {"code": code, "message": "x" * 9000}, timeout_s=10)
        assert (code, getattr(raised.value, "why", None)) == (code, why)
        assert len(str(raised.value)) <= 500


@every_shared_kind
def test_a_changed_list_is_told(shared_pool, shared):
    heard = []
    shared_pool.on_list_changed = heard.append
    shared_pool.offer(shared.target)
    deadline = time.monotonic() + 5
    # The subscription begins a moment after the connection.
    while not heard and time.monotonic() < deadline:
        shared_pool.call(shared.target, "change", {}, timeout_s=10)
        time.sleep(0.05)
    assert set(heard) == {1}


@every_shared_kind
def test_many_threads_share_one_connection(shared_pool, shared):
    def ask(number):
        return shared_pool.call(shared.target, "echo", {"n": number}, timeout_s=20).structured["arguments"]["n"]

    begun = threading.active_count()
    with ThreadPoolExecutor(32) as executor:
        assert list(executor.map(ask, range(96))) == list(range(96))
    assert threading.active_count() <= begun + 1
    assert sum(target == shared.target for target in shared_pool._running[1]._lines) == 1
    assert shared.called.count("echo") == 96


@pytest.mark.parametrize("upstream", ["stdio"], indirect=True)
def test_a_program_that_starts_slowly_is_waited_for(pool, upstream, monkeypatch):
    # The probe is given up before the program reads it; the answer to it then settles the era behind our back.
    monkeypatch.setattr("tools.upstreams.session._LONGEST_PROBE_S", 0.01)
    assert pool.offer(upstream.target).protocol_version == "2026-07-28"


@every_shared_kind
def test_an_argument_that_a_header_must_carry_is_carried_also_by_the_first_call(pool, shared):
    assert pool.call(shared.target, "near", {"region": "åland"}, timeout_s=10).structured == {"region": "åland"}
    assert shared.called.count("near") == 1


@every_shared_kind
def test_the_trace_of_this_process_is_not_sent_in_place_of_the_callers(shared_pool, shared, monkeypatch):
    monkeypatch.setattr("mcp.shared.jsonrpc_dispatcher.inject_trace_context", lambda meta: meta.update(OURS))
    for meta in ({"traceparent": TRACE}, {}):
        answer = shared_pool.call(shared.target, "echo", {}, timeout_s=10, meta=meta)
        said = answer.structured["meta"]
        assert {name: value for name, value in said.items() if name in OURS} == meta
