"""What an upstream can do to others, to this process and to the truth about its own calls: nothing."""

import contextlib
import gzip
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.tools.upstreams.conftest import until
from tests.tools.upstreams.hostile import ANSWER, Hostile, program, raw_server
from tools.upstreams.answers import OutcomeUnknown, Refused, Unreachable

pytestmark = pytest.mark.slow

MIB = 1024 * 1024


@pytest.fixture
def hostile():
    server = Hostile()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.end()
    thread.join()


def outcome(pool, target, timeout_s=5.0, **options):
    """`ran`, or the name of what was raised and why."""
    try:
        pool.call(target, "t", {}, timeout_s=timeout_s, **options)
    except OutcomeUnknown as unknown:
        return f"unknown {unknown.why}"
    except Refused:
        return "refused"
    except Unreachable:
        return "unreachable"
    return "ran"


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def body_of(text, kind="application/json", status=200, **headers):
    content = text if isinstance(text, bytes) else text.encode()
    return lambda handler, message: handler.plain(status, content, **{"Content-Type": kind}, **headers)


def result_of(result):
    return lambda handler, message: handler.result(message, result)


def zipped(kind, form):
    """A right answer, but compressed."""

    def answer(handler, message):
        body = form.replace("{}", json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": ANSWER}))
        body_of(gzip.compress(body.encode()), kind, **{"Content-Encoding": "gzip"})(handler, message)

    return answer


ANSWERS = {
    "a good one": (result_of(ANSWER), "ran"),
    "a block of a kind that nobody knows": (result_of({"content": [{"type": "x"}]}), "unknown invalid"),
    "no content": (result_of({}), "unknown invalid"),
    "content that is no list": (result_of({"content": "ok"}), "unknown invalid"),
    "a text that is none": (result_of({"content": [{"type": "text", "text": 1}]}), "unknown invalid"),
    "structured content that is a list": (result_of({"content": [], "structuredContent": []}), "unknown invalid"),
    "isError that is a word": (result_of({"content": [], "isError": "no"}), "unknown invalid"),
    "a number that is none": (result_of({**ANSWER, "structuredContent": {"a": float("nan")}}), "unknown invalid"),
    "nesting": (result_of({**ANSWER, "structuredContent": {"a": nested(100)}}), "unknown invalid"),
    "a depth that no parser takes": (result_of({**ANSWER, "structuredContent": {"a": nested(400)}}), "unknown invalid"),
    "ten thousand blocks": (result_of({"content": ANSWER["content"] * 10_001}), "unknown invalid"),
    "a question of its own": (result_of({"resultType": "input_required", "inputRequests": {}}), "unknown invalid"),
    "no JSON": (body_of("<html>"), "unknown invalid"),
    "no JSON-RPC": (body_of("[1]"), "unknown invalid"),
    "an error that is none": (body_of('{"jsonrpc": "2.0", "id": null, "error": "no"}'), "unknown invalid"),
    "another request's id": (body_of(json.dumps({"jsonrpc": "2.0", "id": 999, "result": ANSWER})), "unknown invalid"),
    "a request": (body_of('{"jsonrpc": "2.0", "id": 3, "method": "ping"}'), "unknown invalid"),
    "9 MiB": (result_of({"content": [{"type": "text", "text": "x" * 9 * MIB}]}), "unknown invalid"),
    "a page": (body_of("<html>", "text/html"), "unknown invalid"),
    "accepted": (body_of("", status=202), "unknown invalid"),
    "compressed": (zipped("application/json", "{}"), "unknown invalid"),
    "a compressed stream": (zipped("text/event-stream", "data: {}\n\n"), "unknown invalid"),
    "a redirect": (body_of("", status=307, Location="/elsewhere"), "unknown broken"),
    "a redirect elsewhere": (body_of("", status=303, Location="http://127.0.0.1:1/"), "unknown broken"),
    "401": (body_of("", status=401), "unreachable"),
    "403": (body_of("{}", status=403), "unreachable"),
    "404": (body_of("", status=404), "unreachable"),
    "429": (body_of("slow", status=429), "unreachable"),
    "400": (body_of("", status=400), "unreachable"),
    "400 and an error found before": (lambda handler, message: handler.error(message, -32602, 400), "refused"),
    "400 and an error from within": (lambda handler, message: handler.error(message, -32603, 400), "unknown broken"),
    "500": (body_of("", status=500), "unknown broken"),
    "503": (body_of("", status=503), "unknown broken"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_each_answer_says_of_whether_it_ran(pool, hostile, name):
    hostile.answer, expected = ANSWERS[name]
    assert outcome(pool, hostile.target) == expected
    assert hostile.asked.count("tools/call") == 1, "nothing is asked twice, and no redirect is followed"
    hostile.answer = ANSWERS["a good one"][0]
    assert outcome(pool, hostile.target) == "ran"


def endless_events(handler, message):
    handler.events()
    while not handler.server.ended.is_set():
        handler.event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}})


def endless_bytes(handler, message):
    handler.events()
    while True:
        handler.wfile.write(b"x" * 65536)


def big_events(handler, message):
    handler.events()
    while True:
        handler.event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x" * MIB}})


def drip(handler, message):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        handler.wfile.flush()
        handler.server.ended.wait(0.05)


def dripped_headers(handler, message):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        handler.server.ended.wait(0.05)


def ended(handler, message):
    handler.close_connection = True


def ended_stream(handler, message):
    handler.events()


def resumed_for_ever(handler, message):
    handler.events()
    handler.event({"jsonrpc": "2.0", "method": "notifications/x"}, "id: 1", "retry: 0")


def resumed_without_session(handler, message):
    handler.server.stream = lambda again: again.plain(404, b"")
    resumed_for_ever(handler, message)


def two_answers(handler, message):
    handler.events()
    for text in ("first", "second"):
        result = {"content": [{"type": "text", "text": text}]}
        handler.event({"jsonrpc": "2.0", "id": message["id"], "result": result})


STREAMS = {
    endless_events: {"unknown timeout"},
    endless_bytes: {"unknown timeout", "unknown invalid", "unknown broken"},
    big_events: {"unknown timeout", "unknown invalid"},
    drip: {"unknown timeout"},
    dripped_headers: {"unknown timeout", "unknown broken"},
    ended: {"unknown broken"},
    ended_stream: {"unknown broken"},
    resumed_for_ever: {"unknown timeout", "unknown broken"},
    resumed_without_session: {"unknown timeout", "unknown broken"},
    two_answers: {"ran"},
}


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.__name__)
def test_a_stream_ends_in_time_and_harms_nobody_else(pool, hostile, stream):
    good = program("send(id=id, result=dict(content=[]))", upstream_id=1)
    assert outcome(pool, good) == "ran"
    hostile.answer, hostile.has_session = stream, True
    with ThreadPoolExecutor(4) as executor:
        begun = time.monotonic()
        calls = [executor.submit(outcome, pool, hostile.target, 1.0) for _ in range(4)]
        longest = 0.0
        while not all(call.done() for call in calls):
            asked = time.monotonic()
            assert outcome(pool, good) == "ran"
            longest = max(longest, time.monotonic() - asked)
    found = [call.result() for call in calls]
    # On a busy machine a second may be over before a call is sent; then it is said to be, and was not sent.
    sent = [each for each in found if each != "unreachable"]
    assert set(sent) <= STREAMS[stream]
    assert time.monotonic() - begun < 3
    assert longest < 1
    # Each call at most once; what the upstream asks to resume, it is asked for slowly.
    until(lambda: hostile.asked.count("tools/call") == len(sent) > 0)
    assert hostile.asked.count("GET") <= 12


def test_an_answer_amid_more_than_an_exchange_may_read_is_not_taken(pool, hostile):
    def much(handler, message):
        handler.events()
        for _ in range(18):
            handler.wfile.write(b": " + b"x" * MIB + b"\n")
        handler.event({"jsonrpc": "2.0", "id": message["id"], "result": ANSWER})

    hostile.answer = much
    assert outcome(pool, hostile.target, 30) == "unknown invalid"


def test_a_flood_of_progress_is_thinned(pool, hostile):
    def flood(handler, message):
        handler.events()
        token = message["params"]["_meta"]["progressToken"]
        for step in range(400):
            params = {"progressToken": token, "progress": step, "message": "x" * 2000}
            handler.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        handler.event({"jsonrpc": "2.0", "id": message["id"], "result": ANSWER})

    hostile.answer = flood
    told = []
    assert outcome(pool, hostile.target, 10, progress=lambda *step: told.append(step)) == "ran"
    assert 50 <= len(told) < 100
    assert {len(text) for _, _, text in told} == {500}


def test_a_flood_of_changes_is_told_once_a_second(pool, hostile):
    def flood(handler):
        handler.events()
        with contextlib.suppress(OSError):
            while not hostile.ended.wait(0.001):
                handler.event({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})

    hostile.has_session, hostile.stream = True, flood
    heard = []
    pool.on_list_changed = heard.append
    assert outcome(pool, hostile.target) == "ran"
    time.sleep(1.5)
    assert 1 <= len(heard) <= 3
    assert outcome(pool, hostile.target) == "ran"


def test_a_server_that_forgets_every_session_is_asked_twice_and_no_more(pool, hostile):
    hostile.has_session = True
    hostile.answer = body_of("", status=404)
    assert outcome(pool, hostile.target) == "unreachable"
    assert (hostile.asked.count("initialize"), hostile.asked.count("tools/call")) == (2, 2)


def pages(*made):
    def answer(handler, message):
        cursor = int(message.get("params", {}).get("cursor", 0))
        handler.result(message, made[cursor] if cursor < len(made) else made[-1])

    return answer


ONE = {"name": "one", "inputSchema": {"type": "object"}, "x-unknown": {"kept": [1]}}
BAD = {"name": 7, "inputSchema": "none", "outputSchema": []}
LISTS = {
    "a bad tool": (pages({"tools": [BAD, ONE, "no"]}), [BAD, ONE]),
    "two pages": (pages({"tools": [ONE], "nextCursor": "1"}, {"tools": [BAD]}), [ONE, BAD]),
    "an error": (lambda handler, message: handler.error(message, -32601), None),
    "too many": (pages({"tools": [ONE] * 2001}), None),
    "too many pages": (
        lambda handler, message: handler.result(
            message, {"tools": [], "nextCursor": str(int(message.get("params", {}).get("cursor", 0)) + 1)}
        ),
        None,
    ),
    "a circle": (pages({"tools": [ONE], "nextCursor": "1"}), None),
    "no list": (pages({"tools": "x"}), None),
    "a cursor that is none": (pages({"tools": [], "nextCursor": 7}), None),
    "too large": (pages({"tools": [{"name": "x" * 9 * MIB}]}), None),
    "never": (drip, None),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_kept_as_sent_or_refused_whole(pool, hostile, name):
    hostile.answer, expected = LISTS[name]
    hostile.target = type(hostile.target)(66, "hostile", "http", url=hostile.target.url, timeout_s=1.5)
    if expected is None:
        begun = time.monotonic()
        with pytest.raises(Unreachable):
            pool.offer(hostile.target)
        assert time.monotonic() - begun < 4
        assert hostile.asked.count("tools/list") <= (50 if name == "too many pages" else 2)
    else:
        assert list(pool.offer(hostile.target).tools) == expected


PROGRAMS = {
    'sys.stdout.write("x" * 9000000 + "\\n"); sys.stdout.flush()': "unknown invalid",
    'while True: sys.stdout.write("x" * 65536)': "unknown invalid",
    "while True: send(method='notifications/message', params=dict(level='info', data='x'))": "unknown timeout",
    "while True: send(id=1, method='sampling/createMessage', params={})": "unknown timeout",
    "send(id=id + 100, result=dict(content=[]))": "unknown timeout",
    "send(id=id, result=dict(content=[])); send(id=id, result={})": "ran",
    "send(id=str(id), result=dict(content=[]))": "ran",
    "sys.stdout.write('no JSON\\n'); send(id=id, result=dict(content=[]))": "ran",
    "os._exit(1)": "unknown broken",
    "os.close(1); time.sleep(60)": "unknown broken",
    "sys.stderr.write('x' * 5000000); send(id=id, result=dict(content=[]))": "unknown timeout",
}


@pytest.mark.parametrize("answer", PROGRAMS)
def test_a_program_is_bounded_as_a_server_is(pool, answer):
    good = program("send(id=id, result=dict(content=[]))", upstream_id=1)
    assert outcome(pool, good) == "ran"
    begun = time.monotonic()
    assert outcome(pool, program(answer), 1.5) == PROGRAMS[answer]
    assert time.monotonic() - begun < 3
    assert outcome(pool, good) == "ran"


@pytest.mark.parametrize(
    "talk",
    [
        lambda sock: sock.sendall(b"\x00\x01\x02 no HTTP\r\n\r\n"),
        lambda sock: sock.close(),
        lambda sock: time.sleep(20),
    ],
    ids=["noise", "closed", "silent"],
)
@pytest.mark.parametrize("transport", ["http", "sse", "websocket"])
def test_what_is_no_server_is_not_reached(pool, talk, transport):
    listening, target = raw_server(talk)
    url = target.url.replace("http", "ws") if transport == "websocket" else target.url
    target = type(target)(68, "raw", transport, url=url, timeout_s=1)
    begun = time.monotonic()
    assert outcome(pool, target, 10) == "unreachable"
    assert time.monotonic() - begun < 2.5
    # Known to be down, it takes nobody's time.
    begun = time.monotonic()
    assert outcome(pool, target, 10) == "unreachable"
    assert time.monotonic() - begun < 1.5
    listening.close()


@pytest.mark.parametrize("pause_s", [10.0, 0.0], ids=["within the pause", "after the pause"])
def test_an_upstream_that_is_known_to_hang_takes_nobodys_time(pool, monkeypatch, pause_s):
    monkeypatch.setattr("tools.upstreams.lines._LONGEST_PAUSE_S", pause_s)
    monkeypatch.setattr("tools.upstreams.lines._LONGEST_WAIT_WHEN_DOWN_S", 0.1)
    listening, target = raw_server(lambda sock: time.sleep(20))
    target = type(target)(68, "raw", "http", url=target.url, timeout_s=1.5)
    assert outcome(pool, target, 10) == "unreachable"
    begun = time.monotonic()
    assert outcome(pool, target, 10) == "unreachable"
    assert time.monotonic() - begun < 1
    listening.close()
