"""Which error an answer becomes, and what an error never says."""

import pickle
import traceback
from collections.abc import Callable

import pytest
from mcp_observatory import (
    Conflict,
    Denied,
    InvalidArguments,
    NotAuthenticated,
    NotReachable,
    OutcomeUnknown,
    RateLimited,
    ToolCallError,
    ToolClient,
    Unavailable,
)
from scripted_server import DROP, KEY, Scripted, ScriptedServer, problem

TABLE = [
    (400, "malformed_json", ToolCallError),
    (401, "unauthenticated", NotAuthenticated),
    (403, "denied_policy", Denied),
    (404, "unknown_tool", Denied),
    (409, "already_decided", Conflict),
    (409, "outcome_unknown", OutcomeUnknown),
    (413, "too_large", ToolCallError),
    (422, "denied_schema", InvalidArguments),
    (422, "tool_error", ToolCallError),
    (422, "idempotency_key_reused", ToolCallError),
    (423, "frozen", Denied),
    (429, "rate_limited", RateLimited),
    (429, "", RateLimited),
    (500, "internal_error", OutcomeUnknown),
    (502, "tool_failed", OutcomeUnknown),
    (502, "outcome_unrecorded", OutcomeUnknown),
    (502, "tool_unreachable", ToolCallError),
    (502, "tool_output_invalid", ToolCallError),
    (502, "", OutcomeUnknown),
    (503, "part_unavailable", Unavailable),
    (503, "database_unavailable", Unavailable),
    (503, "", OutcomeUnknown),
    (504, "tool_timeout", OutcomeUnknown),
    (504, "", OutcomeUnknown),
    (302, "", ToolCallError),
    (304, "", ToolCallError),
]


@pytest.mark.parametrize(("status", "code", "kind"), TABLE)
def test_error_is_of_its_kind(
    server: ScriptedServer, client_of: Callable[..., ToolClient], status: int, code: str, kind: type[ToolCallError]
) -> None:
    server.otherwise = problem(status, code, retry_after_s=3, errors=[{"path": "/x", "message": "m"}])
    with pytest.raises(ToolCallError) as caught:
        client_of(server.url, retries=0).call("t")
    error = caught.value
    assert type(error) is kind
    if status != 304:
        assert (error.status, error.code, error.title, error.detail) == (status, code, "T", "D")
        assert (error.decision, error.trace_id, error.retry_after_s) == ("error", "t1", 3.0)
        assert error.errors == [{"path": "/x", "message": "m"}]


@pytest.mark.parametrize(("status", "kind"), [(500, ToolCallError), (502, ToolCallError), (503, Unavailable)])
def test_reading_never_leaves_doubt(
    server: ScriptedServer, client: ToolClient, status: int, kind: type[ToolCallError]
) -> None:
    server.otherwise = Scripted(status, b"<html>gateway</html>", {"X-Trace-Id": "t9"})
    with pytest.raises(ToolCallError) as caught:
        client.list_tools()
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.trace_id, caught.value.title) == ("", "t9", f"HTTP {status}")


@pytest.mark.parametrize(
    "answer",
    [
        Scripted(body=b"not json"),
        Scripted(body=[1]),
        Scripted(body=b'{"a": NaN}'),
        Scripted(body=b"\xff"),
        Scripted(body=b"[" * 100_000),
        Scripted(body=b" " * (8 * 1024 * 1024) + b"{} "),
    ],
    ids=["text", "array", "nan", "not utf-8", "deep", "large"],
)
def test_unreadable_success_leaves_doubt_when_call_acts(
    server: ScriptedServer, client: ToolClient, answer: Scripted
) -> None:
    server.otherwise = answer
    with pytest.raises(OutcomeUnknown) as caught:
        client.call("t", idempotency_key="i-1")
    assert caught.value.code == "unreadable_answer"
    assert len(server.hits) == 1
    with pytest.raises(ToolCallError) as read:
        client.list_tools()
    assert (type(read.value), read.value.code) == (ToolCallError, "unreadable_answer")


def test_connection_is_not_used_again_when_answer_was_left_unread(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [Scripted(body=b" " * (9 * 1024 * 1024))]
    with pytest.raises(OutcomeUnknown):
        client.call("t")
    assert client.call("t")["sent"] is True
    assert server.hits[0].peer != server.hits[1].peer


def test_redirect_is_not_followed(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [Scripted(307, b"", {"Location": server.url + "/elsewhere"})]
    with pytest.raises(ToolCallError) as caught:
        client.call("t")
    assert caught.value.status == 307
    assert len(server.hits) == 1


def test_key_is_in_no_text(server: ScriptedServer, client: ToolClient, nobody: str) -> None:
    echo = {"title": KEY, "detail": f"key {KEY} is bad", "code": KEY, "trace_id": KEY, "errors": [{"path": KEY}]}
    raw = Scripted(body=f"HTTP/1.1 {KEY}\r\n\r\n".encode(), how="raw")
    server.script = [Scripted(403, echo), Scripted(403, b"", {"X-Trace-Id": KEY}), raw, DROP]
    texts = [repr(client), str(client)]
    for target in (client, client, client, client, ToolClient(nobody, KEY, retries=0)):
        with pytest.raises(ToolCallError) as caught:
            target.call("t")
        shown = "".join(traceback.format_exception(caught.value))
        texts += [str(caught.value), repr(caught.value), repr(caught.value.args), shown]
    assert all(KEY not in text and repr(KEY)[1:-1] not in text for text in texts)


@pytest.mark.parametrize("key", ["", "two words", "line\r\nbreak", "kéy", "x" * 256])
def test_bad_key_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match=r"^api_key is 1 to 255 visible ASCII characters$"):
        ToolClient("http://127.0.0.1", key)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "ftp://host",
        "http://",
        "http://u:hunter2@host",
        "http://h/?hunter2",
        "http://h:hunter2",
        "http://h/ x",
    ],
)
def test_bad_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^base_url") as caught:
        ToolClient(url, KEY)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_error_survives_pickling(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [problem(403, "denied_policy")]
    with pytest.raises(Denied) as caught:
        client.call("t")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.code) == (Denied, str(caught.value), "denied_policy")


def test_not_reachable_when_nothing_listens(
    client_of: Callable[..., ToolClient], nobody: str, slept: list[float]
) -> None:
    with pytest.raises(NotReachable) as caught:
        client_of(nobody).call("t")
    assert (caught.value.status, caught.value.code, len(slept)) == (0, "not_reachable", 2)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
