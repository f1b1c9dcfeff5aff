"""Propose and commit: what is sent, what comes back, what a refusal becomes."""

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from mcp_observatory import (
    CommitRefused,
    InvalidArguments,
    NotAuthenticated,
    OutcomeUnknown,
    RateLimited,
    ToolCallError,
    ToolClient,
    Unavailable,
)
from scripted_server import DROP, KEY, Scripted, ScriptedServer, problem

TOKEN = "mo1.k1.e30.c2ln"
REFUSED = {"status": "blocked", "commit_id": "c-1", "detail": "D"}


def refused(status: int, reason: str, **more: Any) -> Scripted:
    return Scripted(status, {**REFUSED, "reason": reason, **more}, {"X-Trace-Id": "t1"})


def commit(client: ToolClient, **options: Any) -> Any:
    return client.commit("p-1", TOKEN, {"amount": 100, "to": "acct_123"}, **options)


def test_proposal_is_sent_with_prompt_and_candidates(server: ScriptedServer, client: ToolClient) -> None:
    client.propose("transfer_funds", {"amount": 100}, prompt="Send 100", candidate_outputs=["a", "b"])
    client.propose("transfer_funds", {"amount": 100}, idempotency_key="i-1")
    first, second = server.hits
    assert (first.method, first.path) == ("POST", "/proposals")
    asked = {"tool": "transfer_funds", "args": {"amount": 100}}
    assert json.loads(first.body) == asked | {"prompt": "Send 100", "candidate_outputs": ["a", "b"]}
    assert json.loads(second.body) == asked | {"prompt": ""}
    assert (first.headers.get("idempotency-key"), second.headers["idempotency-key"]) == (None, "i-1")


def test_each_answer_to_a_proposal_is_an_answer(server: ScriptedServer, client: ToolClient) -> None:
    answers: list[dict[str, Any]] = [
        {"status": "allowed", "proposal_id": "p-1", "commit_token": TOKEN},
        {"status": "blocked", "action": "create_draft", "reason": "low_integrity", "draft": {"tool": "t"}},
        {"status": "pending_approval", "proposal_id": "p-1", "pending_action_id": "p-1"},
    ]
    server.script = [Scripted(body=answer) for answer in answers]
    allowed, blocked, waiting = (client.propose("t", {}) for _ in answers)
    assert [dict(found) for found in (allowed, blocked, waiting)] == answers
    assert waiting.pending_action_id == "p-1"


def test_commit_sends_token_and_arguments(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [
        Scripted(body={"status": "committed", "commit_id": "c-1", "result": {"transfer_id": 1}}),
        Scripted(body={"status": "committed"}, headers={"Idempotency-Replayed": "true"}),
    ]
    done = commit(client, idempotency_key="i-1")
    assert (done["status"], done["result"], done.replayed) == ("committed", {"transfer_id": 1}, False)
    assert commit(client, idempotency_key="i-1").replayed
    hit = server.hits[0]
    assert (hit.method, hit.path, hit.headers["idempotency-key"]) == ("POST", "/proposals/p-1/commit", "i-1")
    assert json.loads(hit.body) == {"commit_token": TOKEN, "args": {"amount": 100, "to": "acct_123"}}


def test_proposal_is_read(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [DROP, Scripted(body={"status": "allowed"})]
    assert client.proposal("p/1") == {"status": "allowed"}
    assert [(hit.method, hit.path) for hit in server.hits] == [("GET", "/proposals/p%2F1")] * 2


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "bad_signature"),
        (404, "unknown_proposal"),
        (409, "nonce_replay"),
        (409, "not_approved"),
        (409, "policy_changed"),
        (410, "expired"),
        (422, "args_hash_mismatch"),
        (422, "denied_schema"),
        (423, "frozen"),
    ],
)
@pytest.mark.parametrize("key", [None, "i-1"])
def test_refused_commit_tells_its_reason(
    server: ScriptedServer, client: ToolClient, status: int, reason: str, key: str | None
) -> None:
    server.otherwise = refused(status, reason)
    with pytest.raises(CommitRefused) as caught:
        commit(client, idempotency_key=key)
    error = caught.value
    assert (type(error), error.status, error.code, error.commit_id) == (CommitRefused, status, reason, "c-1")
    assert (error.detail, error.trace_id, len(server.hits)) == ("D", "t1", 1)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.commit_id) == (CommitRefused, str(error), "c-1")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(401, "unauthenticated"), NotAuthenticated),
        (problem(422, "denied_schema"), InvalidArguments),
        (problem(429, "rate_limited"), RateLimited),
        (problem(503, "part_unavailable"), Unavailable),
        (problem(502, "tool_failed"), OutcomeUnknown),
        (problem(422, "tool_error"), ToolCallError),
        (refused(409, "outcome_unknown"), OutcomeUnknown),
        (refused(502, "tool_failed"), OutcomeUnknown),
        (Scripted(409, {"status": "blocked"}), ToolCallError),
        (Scripted(502, b"<html>"), OutcomeUnknown),
    ],
)
def test_other_failures_of_a_commit_are_what_they_are_elsewhere(
    server: ScriptedServer, client_of: Callable[..., ToolClient], answer: Scripted, kind: type[ToolCallError]
) -> None:
    server.otherwise = answer
    with pytest.raises(kind) as caught:
        commit(client_of(server.url, retries=0))
    assert not isinstance(caught.value, CommitRefused)


def test_refusal_of_a_proposal_is_no_refused_commit(server: ScriptedServer, client: ToolClient) -> None:
    server.otherwise = refused(409, "policy_changed")
    with pytest.raises(ToolCallError) as caught:
        client.propose("t", {})
    assert not isinstance(caught.value, CommitRefused)


def test_commit_whose_answer_was_lost_is_not_sent_again_without_a_key(
    server: ScriptedServer, client: ToolClient
) -> None:
    server.script = [DROP]
    with pytest.raises(OutcomeUnknown):
        commit(client)
    assert len(server.hits) == 1


def test_commit_whose_answer_was_lost_is_sent_again_with_its_key(server: ScriptedServer, client: ToolClient) -> None:
    done = Scripted(body={"status": "committed"}, headers={"Idempotency-Replayed": "true"})
    server.script = [DROP, refused(409, "idempotency_in_flight", retry_after_s=1), done]
    assert commit(client, idempotency_key="i-1").replayed
    assert len({(hit.body, hit.headers["idempotency-key"]) for hit in server.hits}) == 1
    assert len(server.hits) == 3


def test_later_refusal_does_not_settle_a_lost_commit(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [DROP, refused(409, "nonce_replay")]
    with pytest.raises(OutcomeUnknown) as caught:
        commit(client, idempotency_key="i-1")
    assert isinstance(caught.value.__cause__, CommitRefused)


@pytest.mark.parametrize("key", ["", "two words", "a\r\nX-Evil: 1"])
def test_nothing_is_sent_when_key_or_name_cannot_be_written(
    server: ScriptedServer, client: ToolClient, key: str
) -> None:
    with pytest.raises(ValueError, match="Idempotency-Key"):
        commit(client, idempotency_key=key)
    with pytest.raises(ValueError, match="Idempotency-Key"):
        client.propose("t", {}, idempotency_key=key)
    with pytest.raises(ValueError, match="name"):
        client.commit("..", TOKEN, {})
    assert not server.hits


def test_key_is_not_repeated_by_a_refused_commit(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [refused(409, KEY, commit_id=KEY, detail=KEY)]
    with pytest.raises(CommitRefused) as caught:
        commit(client)
    assert KEY not in str(caught.value) + repr(caught.value.args) + caught.value.commit_id
