"""What ran in this process is told to an observatory: masked, in order, and never at the run's cost."""

import asyncio
import json
import logging
from typing import Any

import pytest
from mcp_observatory import NotAuthenticated, ToolClient
from mcp_observatory.harness import MCPHarness, MCPSession, PolicyConfig
from mcp_observatory.harness.reporting import Reporter
from sample_clients import SampleClient, listed
from scripted_server import DROP, KEY, Scripted, ScriptedServer, problem

CANARY = "Zq7Canary9abcDEF0123456789"


def sample() -> SampleClient:
    return SampleClient([listed("echo")], echo=lambda args: args.get("say", "ok"))


def run(harness: MCPHarness, *steps: tuple[Any, ...]) -> MCPSession:
    async def main() -> MCPSession:
        session = await harness.start_session("s-1")
        for one in steps:
            await harness.execute_step(session, *one)
        await harness.close_session(session)
        return session

    return asyncio.run(main())


def told(server: ScriptedServer) -> list[Any]:
    return [json.loads(hit.body) for hit in server.hits if hit.path.endswith("/steps")]


def test_steps_are_told_as_they_came_out(server: ScriptedServer, client: ToolClient) -> None:
    policy = PolicyConfig(blocklist=["secret_tool"], max_steps=3)
    harness = MCPHarness(sample(), "gpt-4", policy, server=client)
    session = run(
        harness,
        ("user", "Hello"),
        ("assistant", "go", "echo", {"say": "fine"}),
        ("assistant", "go", "secret_tool"),
        ("user", "beyond the limit"),
    )
    assert [hit.path for hit in server.hits] == ["/sessions", *["/sessions/s-1/steps"] * 3, "/sessions/s-1/close"]
    opened = json.loads(server.hits[0].body)
    assert opened == {
        "model": "gpt-4",
        "session_id": "s-1",
        "policy": policy.as_policy().as_json(),
        "guardrails": {"mode": "advisory", "thresholds": {}},
        "reported": True,
    }
    said, called, denied = told(server)
    assert (said["role"], said["input_text"], said["outcome"]["decision"]) == ("user", "Hello", "ok")
    assert (called["tool_name"], called["tool_args"], called["tokens_out"]) == ("echo", {"say": "fine"}, 1)
    outcome = called["outcome"]
    assert (outcome["output_text"], outcome["reason"], outcome["dry_run"]) == ("fine", "allowed", False)
    assert outcome["latency_ms"] == session.steps[1].latency_ms
    assert outcome["guardrail_signals"] == session.steps[1].to_dict()["guardrail_signals"]
    assert (denied["outcome"]["decision"], denied["outcome"]["reason"]) == ("denied_policy", "session_blocklist")
    assert session.reports_lost == 0


def test_session_without_a_limit_is_told_the_limit_that_it_has(server: ScriptedServer, client: ToolClient) -> None:
    run(MCPHarness(sample(), "gpt-4", server=client))
    assert json.loads(server.hits[0].body)["policy"]["max_steps"] == 100


def test_no_secret_leaves(server: ScriptedServer, client: ToolClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = f"ghp_{CANARY}"
    harness = MCPHarness(sample(), "gpt-4", server=client)
    run(harness, ("user", f"use {secret}"), ("assistant", "go", "echo", {"say": f"it is {secret}", "token": CANARY}))
    assert len(told(server)) == 2
    assert CANARY not in b"".join(hit.body for hit in server.hits).decode() + caplog.text


def test_server_may_be_given_by_url_and_key(server: ScriptedServer) -> None:
    run(MCPHarness(sample(), "gpt-4", server=(server.url, KEY)), ("user", "x"))
    assert {hit.headers["x-api-key"] for hit in server.hits} == {KEY}
    assert len(server.hits) == 3


def test_session_does_not_start_where_it_cannot_be_told(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [problem(401)]
    inner = sample()
    with pytest.raises(NotAuthenticated):
        run(MCPHarness(inner, "gpt-4", server=client), ("assistant", "go", "echo"))
    assert inner.seen == ["connect", "list_tools", "close"]


def test_step_that_cannot_be_told_is_counted_and_the_run_goes_on(
    server: ScriptedServer, client: ToolClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = [
        Scripted(201, {}),
        problem(400, "invalid_parameter", detail=CANARY),
        DROP,
        Scripted(),
        problem(409),
    ]
    inner = sample()
    harness = MCPHarness(inner, "gpt-4", server=client)
    session = run(harness, *[("assistant", "go", "echo")] * 3)
    assert (session.reports_lost, session.status, len(inner.calls)) == (2, "closed", 3)
    assert "2 steps of session s-1 were not told" in caplog.text
    assert "the report of session s-1 was not closed: Conflict 409" in caplog.text
    assert CANARY not in caplog.text


def test_run_does_not_wait_for_what_is_told(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [Scripted(201, {}), Scripted(how="silent")]

    async def main() -> None:
        harness = MCPHarness(sample(), "gpt-4", server=client)
        session = await harness.start_session("s-1")
        steps = [await harness.execute_step(session, "assistant", "go", "echo") for _ in range(3)]
        assert [step.decision.value for step in steps] == ["ok"] * 3
        assert len(told(server)) <= 1
        server.over.set()
        await harness.close_session(session)
        assert session.reports_lost == 1

    asyncio.run(main())
    assert len(told(server)) == 3


def test_session_ends_in_time_where_nobody_listens(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [Scripted(201, {}), Scripted(how="silent")]

    async def main() -> MCPSession:
        session = MCPSession("s-1", "gpt-4", "0" * 64)
        reported = await Reporter(client, ending_s=0.05).open(session)
        harness = MCPHarness(sample(), "gpt-4")
        local = await harness.start_session("s-2")
        for _ in range(3):
            reported.tell(await harness.execute_step(local, "user", "x"))
        await harness.close_session(local)
        await reported.close()
        server.over.set()
        return session

    assert asyncio.run(main()).reports_lost == 3
