"""How often a request reaches the server: never twice where it could act twice."""

from collections.abc import Callable
from typing import Any

import pytest
from mcp_observatory import Conflict, NotReachable, OutcomeUnknown, RateLimited, ToolCallError, ToolClient
from scripted_server import DROP, Scripted, ScriptedServer, problem

Act = Callable[[ToolClient], Any]
ACTS: dict[str, Act] = {
    "read": lambda client: client.action("p-1"),
    "decision": lambda client: client.decision("t"),
    "keyed": lambda client: client.call("t", idempotency_key="i-1"),
    "unkeyed": lambda client: client.call("t"),
    "confirm": lambda client: client.confirm("p-1"),
    "cancel": lambda client: client.cancel("p-1"),
}
CUT = Scripted(how="cut")
# What always goes wrong -> how many hits with two retries, in the order of ACTS.
HITS = [
    ("dropped", DROP, (3, 3, 3, 1, 1, 1)),
    ("cut", CUT, (3, 3, 3, 1, 1, 1)),
    ("429", problem(429, "rate_limited"), (3, 3, 3, 3, 1, 1)),
    ("503 of ours", problem(503, "part_unavailable"), (3, 3, 3, 3, 1, 1)),
    ("503 of a gateway", Scripted(503, b""), (3, 3, 3, 1, 1, 1)),
    ("502 of a gateway", Scripted(502, b""), (3, 3, 3, 1, 1, 1)),
    ("500", problem(500, "internal_error"), (1, 1, 3, 1, 1, 1)),
    ("in flight", problem(409, "idempotency_in_flight"), (1, 1, 3, 1, 1, 1)),
    ("outcome unknown", problem(409, "outcome_unknown"), (1, 1, 1, 1, 1, 1)),
    ("tool failed", problem(502, "tool_failed"), (3, 3, 1, 1, 1, 1)),
    ("tool timed out", problem(504, "tool_timeout"), (3, 3, 1, 1, 1, 1)),
    ("other conflict", problem(409, "already_decided"), (1, 1, 1, 1, 1, 1)),
    ("denied", problem(403, "denied_policy"), (1, 1, 1, 1, 1, 1)),
    ("asks too long", problem(429, "rate_limited", retry_after_s=31), (1, 1, 1, 1, 1, 1)),
]
TABLE = [
    pytest.param(answer, act, count, id=f"{what}, {act}")
    for what, answer, counts in HITS
    for act, count in zip(ACTS, counts, strict=True)
]


@pytest.mark.parametrize(("answer", "act", "count"), TABLE)
def test_hits(server: ScriptedServer, client: ToolClient, answer: Scripted, act: str, count: int) -> None:
    server.otherwise = answer
    with pytest.raises(ToolCallError):
        ACTS[act](client)
    assert len(server.hits) == count
    assert len({(hit.path, hit.body, hit.headers.get("idempotency-key")) for hit in server.hits}) == 1


@pytest.mark.parametrize("answer", [DROP, CUT], ids=["dropped", "cut"])
def test_lost_answer_leaves_doubt_when_call_has_no_key(
    server: ScriptedServer, client: ToolClient, answer: Scripted
) -> None:
    server.script = [answer]
    with pytest.raises(OutcomeUnknown) as caught:
        client.call("t")
    assert (caught.value.code, len(server.hits)) == ("connection_lost", 1)


def test_lost_answer_is_asked_for_again_when_call_has_a_key(server: ScriptedServer, client: ToolClient) -> None:
    replay = Scripted(headers={"Idempotency-Replayed": "true"})
    server.script = [DROP, replay]
    assert client.call("t", idempotency_key="i-1").replayed
    assert [hit.headers["idempotency-key"] for hit in server.hits] == ["i-1", "i-1"]


def test_silence_leaves_doubt(server: ScriptedServer, client_of: Callable[..., ToolClient]) -> None:
    server.otherwise = Scripted(how="silent")
    with pytest.raises(OutcomeUnknown) as caught:
        client_of(server.url, timeout_s=0.1).call("t")
    assert (caught.value.code, len(server.hits)) == ("connection_lost", 1)


def test_reading_is_not_reachable_when_answers_are_lost(server: ScriptedServer, client: ToolClient) -> None:
    server.otherwise = DROP
    with pytest.raises(NotReachable):
        client.list_tools()


@pytest.mark.parametrize(
    ("later", "kind"),
    [
        (problem(403, "frozen"), OutcomeUnknown),
        (problem(401, "unauthenticated"), OutcomeUnknown),
        (problem(503, "part_unavailable", retry_after_s=60), OutcomeUnknown),
        (problem(409, "idempotency_in_flight", retry_after_s=60), OutcomeUnknown),
        (problem(409, "outcome_unknown"), OutcomeUnknown),
        (problem(422, "tool_error"), ToolCallError),
        (Scripted(409, {"code": "stale"}, {"Idempotency-Replayed": "true"}), Conflict),
    ],
)
def test_later_refusal_does_not_settle_a_lost_attempt(
    server: ScriptedServer, client: ToolClient, later: Scripted, kind: type[ToolCallError]
) -> None:
    server.script = [DROP, later]
    with pytest.raises(ToolCallError) as caught:
        client.call("t", idempotency_key="i-1")
    assert type(caught.value) is kind


def test_refusal_after_a_lost_attempt_is_the_cause(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [DROP, problem(429, "rate_limited", retry_after_s=60)]
    with pytest.raises(OutcomeUnknown) as caught:
        client.call("t", idempotency_key="i-1")
    assert isinstance(caught.value.__cause__, RateLimited)


def test_pause_is_what_the_server_asks(server: ScriptedServer, client: ToolClient, slept: list[float]) -> None:
    server.script = [problem(429, "rate_limited", retry_after_s=7), problem(503, "part_unavailable", retry_after_s=1)]
    client.call("t")
    assert slept == [7.0, 1.0]


def test_pause_grows_with_jitter_when_the_server_asks_nothing(
    server: ScriptedServer, client_of: Callable[..., ToolClient], slept: list[float]
) -> None:
    server.otherwise = problem(503, "part_unavailable")
    with pytest.raises(ToolCallError):
        client_of(server.url, retries=6, random=lambda: 0.5).call("t")
    assert slept == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0]


@pytest.mark.parametrize("header", ["-1", "1e9", "٣", "Wed, 21 Oct 2026 07:28:00 GMT", "9" * 10])
def test_pause_is_our_own_when_retry_after_is_no_number(
    server: ScriptedServer, client: ToolClient, slept: list[float], header: str
) -> None:
    raw = f"HTTP/1.1 429 T\r\nRetry-After: {header}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    server.script = [Scripted(body=raw, how="raw")]
    client.call("t")
    assert slept == [0.0]
