"""A run whose sessions live on an observatory: what is sent, what an answer becomes, what is raised."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from mcp_observatory import Conflict, Denied, NotAuthenticated, OutcomeUnknown, ToolClient
from mcp_observatory.harness import Channel, MCPHarness, MCPSession, MCPStep, PolicyConfig, StepDecision
from scripted_server import DROP, KEY, Scripted, ScriptedServer, problem

SIGNAL = {
    "provider": "pii",
    "metric": "pii",
    "stage": "output",
    "score": 1.0,
    "threshold": 0.5,
    "violated": True,
    "denies": False,
    "kinds": {"email": 1},
    "fingerprint": "ab12ab12ab12ab12",
    "reused": False,
    "reason": "",
}
OPENED = {
    "session_id": "demo_session",
    "status": "open",
    "model": "gpt-4",
    "provider": "openai",
    "rules_hash": "a" * 64,
    "policy": {"allowlist": ["search_web"], "max_steps": 10},
    "guardrails": {"mode": "mixed", "thresholds": {"pii": 0.0}},
    "preflight_result": {"passed": True, "checked": {"tools": 1, "signals": 2}, "violations": [], "detectors": []},
    "max_steps": 10,
    "tools_discovered": [
        {"name": "search_web", "description": "Searches.", "input_schema": {"type": "object"}, "network": "yes"}
    ],
}
STEP = {
    "step_id": "step_1",
    "number": 1,
    "role": "assistant",
    "channel": "llm_to_tool",
    "input_text": "Search for weather",
    "selected_tool": "search_web",
    "tool_args": {"query": "weather"},
    "output_text": "Sunny",
    "output": {"text": "Sunny and warm"},
    "decision": "ok",
    "reason": "allowed",
    "rule": "allowlist",
    "error": None,
    "latency_ms": 4.5,
    "tokens_in": 9,
    "tokens_out": 3,
    "cost_est": 0.00025,
    "token_source": "estimate",
    "guardrail_signals": [SIGNAL],
    "reused_fingerprints": ["cd34cd34cd34cd34"],
    "masked_paths": ["/tool_args/token"],
    "dry_run": False,
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "a_member_of_tomorrow": 1,
}
CLOSED = OPENED | {
    "status": "closed",
    "total_latency_ms": 5.5,
    "total_tokens_in": 10,
    "total_tokens_out": 4,
    "total_cost_est": 0.0005,
}


def run(harness: MCPHarness, *steps: tuple[Any, ...]) -> tuple[MCPSession, list[MCPStep]]:
    async def main() -> tuple[MCPSession, list[MCPStep]]:
        session = await harness.start_session("demo_session")
        taken = [await harness.execute_step(session, *one) for one in steps]
        await harness.close_session(session)
        return session, taken

    return asyncio.run(main())


def bodies(server: ScriptedServer) -> list[tuple[str, str, Any]]:
    return [(hit.method, hit.path, json.loads(hit.body) if hit.body else None) for hit in server.hits]


def test_session_of_the_seed_is_three_requests(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [Scripted(201, OPENED), Scripted(body=STEP), Scripted(body=CLOSED)]
    policy = PolicyConfig(allowlist=["search_web"], no_network=True, dry_run=False, max_steps=10)
    guardrails = {"mode": "mixed", "thresholds": {"toxicity": 0.3, "pii": 0.0}}
    harness = MCPHarness(client, model="gpt-4", policy_config=policy, guardrails_config=guardrails, provider="openai")
    session, (step,) = run(harness, ("assistant", "Search for weather", "search_web", {"query": "weather"}))
    asked = {"role": "assistant", "input_text": "Search for weather", "tool_name": "search_web"}
    assert bodies(server) == [
        (
            "POST",
            "/sessions",
            {
                "model": "gpt-4",
                "session_id": "demo_session",
                "provider": "openai",
                "policy": policy.as_policy().as_json(),
                "guardrails": guardrails,
            },
        ),
        ("POST", "/sessions/demo_session/steps", asked | {"tool_args": {"query": "weather"}}),
        ("POST", "/sessions/demo_session/close", {}),
    ]
    assert {hit.headers["x-api-key"] for hit in server.hits} == {KEY}
    assert (step.decision, step.channel, step.output) == (StepDecision.OK, Channel.LLM_TO_TOOL, STEP["output"])
    for name in STEP.keys() - {"guardrail_signals", "decision", "channel", "a_member_of_tomorrow"}:
        assert getattr(step, name) == STEP[name], name
    assert step.to_dict()["guardrail_signals"] == [SIGNAL]
    assert (session.status, session.rules_hash, session.steps) == ("closed", "a" * 64, [step])
    assert [(tool.name, tool.network) for tool in session.tools_discovered] == [("search_web", "yes")]
    assert (session.total_latency_ms, session.total_tokens_in, session.total_cost_est) == (5.5, 10, 0.0005)
    assert session.session_violations == step.violations


def test_what_was_not_given_is_the_servers_to_say(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [Scripted(201, OPENED), Scripted(body=STEP | {"selected_tool": None}), Scripted(body=CLOSED)]
    run(MCPHarness(client, "gpt-4", upstream="orders"), ("user", "Hello"))
    assert [body for _, _, body in bodies(server)] == [
        {"model": "gpt-4", "session_id": "demo_session", "upstream": "orders"},
        {"role": "user", "input_text": "Hello"},
        {},
    ]


@pytest.mark.parametrize(
    ("answer", "decision", "reason"),
    [
        ({"decision": "denied_schema", "reason": "denied_schema"}, StepDecision.DENIED_SCHEMA, "denied_schema"),
        ({"decision": "denied_policy", "reason": "no_network"}, StepDecision.DENIED_POLICY, "no_network"),
        ({"decision": "error", "reason": "tool_failed"}, StepDecision.ERROR, "tool_failed"),
        ({"decision": "dry_run", "reason": "dry_run", "dry_run": True}, StepDecision.DRY_RUN, "dry_run"),
        ({"decision": "held", "reason": "held", "pending_action_id": "p-1"}, StepDecision.HELD, "held"),
        ({"decision": "a_word_of_tomorrow"}, StepDecision.ERROR, "allowed"),
        ({"decision": None}, StepDecision.ERROR, "allowed"),
    ],
)
def test_decision_is_the_servers(
    server: ScriptedServer, client: ToolClient, answer: dict[str, Any], decision: StepDecision, reason: str
) -> None:
    server.script = [Scripted(201, OPENED), Scripted(body=STEP | answer), Scripted(body=CLOSED)]
    _, (step,) = run(MCPHarness(client, "gpt-4"), ("assistant", "go", "search_web", {}))
    assert (step.decision, step.reason) == (decision, reason)
    assert (step.dry_run, step.pending_action_id) == ("dry_run" in answer, answer.get("pending_action_id"))


def test_step_beyond_the_limit_is_counted_and_not_kept(server: ScriptedServer, client: ToolClient) -> None:
    beyond = {"step_id": None, "number": None, "decision": "denied_policy", "reason": "max_steps", "output": None}
    server.script = [
        Scripted(201, OPENED),
        Scripted(body=STEP),
        Scripted(body=beyond | {"error": "Max steps exceeded"}),
        Scripted(body=CLOSED),
    ]
    session, (first, second) = run(MCPHarness(client, "gpt-4"), ("user", "one"), ("user", "two"))
    assert (second.decision, second.error, second.number) == ("denied_policy", "Max steps exceeded", 0)
    assert (session.steps, session.steps_refused) == ([first], 1)


def test_steps_stand_in_the_servers_order(server: ScriptedServer, client: ToolClient) -> None:
    numbered = [Scripted(body=STEP | {"number": number, "step_id": f"step_{number}"}) for number in (3, 1, 2)]
    server.script = [Scripted(201, OPENED), *numbered, Scripted(body=CLOSED)]
    session, _ = run(MCPHarness(client, "gpt-4"), *[("user", "x")] * 3)
    assert [step.number for step in session.steps] == [1, 2, 3]


def test_refused_preflight_is_a_session_that_is_not_open(server: ScriptedServer, client: ToolClient) -> None:
    violation = SIGNAL | {"stage": "preflight", "denies": True, "tool": "search_web"}
    preflight = {"passed": False, "checked": {"tools": 1, "signals": 2}, "violations": [violation]}
    server.script = [Scripted(201, OPENED | {"status": "refused", "preflight_result": preflight})]
    session, _ = run(MCPHarness(client, "gpt-4"))
    assert (session.status, session.is_open, len(server.hits)) == ("refused", False, 1)
    assert session.preflight_result is not None
    assert not session.preflight_result.passed
    assert session.preflight_result.reason == "pii found: email x1 (score 1, allowed 0.5)"
    assert [signal.metric for signal in session.session_violations] == ["pii"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(401), NotAuthenticated),
        (problem(404, "unknown_session"), Denied),
        (problem(409, "session_closed"), Conflict),
        (DROP, OutcomeUnknown),
        (Scripted(body=b"[]"), OutcomeUnknown),
    ],
)
def test_where_there_is_no_step_an_error_is_raised(
    server: ScriptedServer, client: ToolClient, answer: Scripted, kind: type[Exception]
) -> None:
    server.script = [Scripted(201, OPENED), answer]
    with pytest.raises(kind):
        run(MCPHarness(client, "gpt-4"), ("assistant", "go", "search_web", {}))
    assert len(server.hits) == 2


def test_step_with_an_idempotency_key_is_asked_for_again(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [Scripted(201, OPENED), DROP, Scripted(body=STEP), Scripted(body=CLOSED)]

    async def main() -> MCPStep:
        harness = MCPHarness(client, "gpt-4")
        session = await harness.start_session("demo_session")
        step = await harness.execute_step(session, "assistant", "go", "search_web", {}, idempotency_key="i-1")
        await harness.close_session(session)
        return step

    assert asyncio.run(main()).decision == "ok"
    assert [hit.headers.get("idempotency-key") for hit in server.hits] == [None, "i-1", "i-1", None]


def test_closing_is_asked_for_again(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [Scripted(201, OPENED), DROP, Scripted(body=CLOSED)]
    session, _ = run(MCPHarness(client, "gpt-4"))
    assert (session.status, len(server.hits)) == ("closed", 3)


def test_answer_that_lacks_everything_is_read_with_care(server: ScriptedServer, client: ToolClient) -> None:
    server.script = [Scripted(201, {}), Scripted(body={}), Scripted(body={})]
    session, (step,) = run(MCPHarness(client, "gpt-4"), ("user", "x"))
    assert (session.session_id, session.status, session.tools_discovered) == ("demo_session", "closed", [])
    assert session.preflight_result is not None
    assert not session.preflight_result.passed
    assert (step.decision, step.role, step.channel) == ("error", "user", "user_to_llm")


def test_steps_run_at_once_and_the_loop_goes_on(server: ScriptedServer, client: ToolClient) -> None:
    server.otherwise = Scripted(body=STEP)
    server.script = [Scripted(201, OPENED)]

    async def main() -> MCPSession:
        harness = MCPHarness(client, "gpt-4")
        session = await harness.start_session("demo_session")
        await asyncio.gather(*[harness.execute_step(session, "user", str(n)) for n in range(32)])
        return session

    session = asyncio.run(main())
    assert (len(session.steps), session.total_tokens_in) == (32, 32 * 9)


def test_what_a_server_cannot_do_is_said(client: ToolClient) -> None:
    with pytest.raises(ValueError, match="nothing to tell"):
        MCPHarness(client, "gpt-4", server=client)
    with pytest.raises(ValueError, match="preflight_texts"):
        asyncio.run(MCPHarness(client, "gpt-4").start_session("s", preflight_texts=["x"]))
    for name in ("", "a b", "x" * 65, "a/b"):
        with pytest.raises(ValueError, match="session_id"):
            asyncio.run(MCPHarness(client, "gpt-4").start_session(name))


def test_sessions_without_a_harness(server: ScriptedServer, client_of: Callable[..., ToolClient]) -> None:
    client = client_of(server.url)
    server.script = [Scripted(201, OPENED), Scripted(body=STEP), Scripted(body=OPENED), Scripted(body=CLOSED)]
    assert client.open_session("gpt-4", session_id="a b", policy={"max_steps": 3})["status"] == "open"
    assert client.take_step("a b", {"role": "user", "input_text": "x"})["step_id"] == "step_1"
    assert client.session("a b", after=200)["model"] == "gpt-4"
    assert client.close_session("a b")["status"] == "closed"
    assert [(hit.method, hit.path) for hit in server.hits] == [
        ("POST", "/sessions"),
        ("POST", "/sessions/a%20b/steps"),
        ("GET", "/sessions/a%20b?after=200"),
        ("POST", "/sessions/a%20b/close"),
    ]
