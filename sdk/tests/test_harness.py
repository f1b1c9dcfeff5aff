"""A run of an agent with its checks in this process: what is decided, in which order, and what is left of it."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp_observatory import Conflict
from mcp_observatory.harness import Channel, MCPClient, MCPHarness, MCPSession, MCPStep, PolicyConfig, StepDecision
from sample_clients import LOCAL, BrokenClient, SampleClient, listed
from websocket_mcp import WebSocketMCP, websocket_mcp

CANARY = "Zq7Canary9abcDEF0123456789"
ADDING = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"], "additionalProperties": False}


@pytest.fixture(scope="module")
def mcp() -> Iterator[WebSocketMCP]:
    with websocket_mcp() as server:
        yield server


def sample() -> SampleClient:
    return SampleClient(
        [
            listed("add", "Adds one.", ADDING, annotations=LOCAL),
            listed("search_web", "Searches.", annotations={"openWorldHint": True}),
            listed("undeclared"),
            listed("fetch_notes", "Reads notes that lie here.", annotations=LOCAL),
            listed("broken_schema", schema={"type": 7}),
            listed("failing"),
            listed("refusing"),
            listed("hanging"),
        ],
        add=lambda args: {"content": [{"type": "text", "text": str(args["a"] + 1)}]},
        search_web=lambda args: "sunny",
        undeclared=lambda args: {"done": True},
        fetch_notes=lambda args: ["one", "two"],
        failing=lambda args: 1 / 0,
        refusing=lambda args: {"content": [{"type": "text", "text": "No such note."}], "isError": True},
        hanging=lambda args: asyncio.Event().wait(),
    )


async def one_step(harness: MCPHarness, *asked: Any, **more: Any) -> tuple[MCPSession, MCPStep]:
    session = await harness.start_session("s-1")
    step = await harness.execute_step(session, *asked, **more)
    await harness.close_session(session)
    return session, step


def test_basic_session_of_the_seed(mcp: WebSocketMCP) -> None:
    async def main() -> tuple[MCPSession, MCPStep]:
        # Create client and harness
        client = MCPClient(mcp.url)
        harness = MCPHarness(client, model="gpt-4")

        # Run session
        session = await harness.start_session("demo_session")
        step = await harness.execute_step(
            session, "assistant", "Search for weather",
            tool_name="search_web", tool_args={"query": "weather"}
        )  # fmt: skip
        await harness.close_session(session)
        return session, step

    session, step = asyncio.run(main())
    assert (step.decision, step.channel, step.selected_tool) == ("ok", "llm_to_tool", "search_web")
    assert (step.output_text, step.error, step.step_id) == ("Sunny, as asked for weather.", None, "step_1")
    assert step.output["content"] == [{"type": "text", "text": "Sunny, as asked for weather."}]
    assert mcp.calls[-1] == ("search_web", {"query": "weather"})
    assert (session.session_id, session.model, session.status) == ("demo_session", "gpt-4", "closed")
    assert len(session.tools_discovered) == 9
    assert session.steps == [step]
    assert (session.total_tokens_in, session.total_tokens_out) == (step.tokens_in, step.tokens_out)
    assert step.latency_ms == session.total_latency_ms > 0
    assert mcp.is_left()


def test_example_of_the_readme_runs_as_it_stands(mcp: WebSocketMCP, capsys: pytest.CaptureFixture[str]) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", readme.partition("\n# Run\n")[2], re.DOTALL | re.MULTILINE)
    assert program.count("ws://localhost:8080/mcp") == 1
    exec(program.replace("ws://localhost:8080/mcp", mcp.url), {})
    assert capsys.readouterr().out.startswith("ok {")


def test_policy_guards_of_the_seed(mcp: WebSocketMCP) -> None:
    client = MCPClient(mcp.url)
    policy = PolicyConfig(
        allowlist=["search_web", "calculate"],
        no_network=True,
        dry_run=False,
        max_steps=10
    )  # fmt: skip

    harness = MCPHarness(client, model="gpt-4", policy_config=policy)

    async def main() -> list[MCPStep]:
        session = await harness.start_session("demo_session")
        asked: list[tuple[str, dict[str, Any]]] = [
            ("calculate", {"a": 1, "b": 2}),
            ("search_web", {"query": "weather"}),
            ("echo", {"text": "x"}),
            ("calculate", {"a": "one", "b": 2}),
        ]
        steps = [await harness.execute_step(session, "assistant", "go", tool, args) for tool, args in asked]
        await harness.close_session(session)
        return steps

    before = len(mcp.calls)
    steps = asyncio.run(main())
    assert [(step.decision.value, step.reason) for step in steps] == [
        ("ok", "allowed"),
        ("denied_policy", "no_network"),
        ("denied_policy", "session_allowlist"),
        ("denied_schema", "denied_schema"),
    ]
    assert mcp.calls[before:] == [("calculate", {"a": 1, "b": 2})]


def test_guardrails_of_the_seed(mcp: WebSocketMCP) -> None:
    client = MCPClient(mcp.url)
    guardrails_config = {
        "mode": "mixed",
        "thresholds": {"toxicity": 0.3, "pii": 0.0}
    }  # fmt: skip

    harness = MCPHarness(
        client, model="gpt-4",
        guardrails_config=guardrails_config
    )  # fmt: skip

    async def main() -> list[MCPStep]:
        session = await harness.start_session("demo_session")
        assert session.preflight_result is not None
        assert session.preflight_result.passed
        texts = ["The weather is fine.", "Write to alice@example.com."]
        steps = [await harness.execute_step(session, "assistant", text, "echo", {"text": text}) for text in texts]
        await harness.close_session(session)
        return steps

    before = len(mcp.calls)
    fine, private = asyncio.run(main())
    assert (fine.decision, private.decision, private.reason) == ("ok", "denied_policy", "guardrail_input")
    assert [text for _, text in mcp.calls[before:]] == [{"text": "The weather is fine."}]
    (toxicity,) = {signal.reason for signal in fine.guardrail_signals if signal.metric == "toxicity"}
    assert toxicity == "unavailable (Reused from Preflight)"


@pytest.mark.parametrize(
    ("policy", "tool", "args", "decision", "reason"),
    [
        ({}, "add", {"a": 1}, "ok", "allowed"),
        ({}, "add", {}, "denied_schema", "denied_schema"),
        ({}, "add", None, "denied_schema", "denied_schema"),
        ({}, "add", {"a": 1, "b": 2}, "denied_schema", "denied_schema"),
        ({}, "undeclared", {"anything": [1]}, "ok", "allowed"),
        ({}, "broken_schema", {}, "denied_schema", "denied_schema"),
        ({}, "never_listed", {}, "denied_policy", "unknown_tool"),
        ({"blocklist": ["never_listed"]}, "never_listed", {}, "denied_policy", "session_blocklist"),
        ({"no_network": True}, "never_listed", {}, "denied_policy", "no_network"),
        ({"blocklist": ["add"]}, "add", {"a": 1}, "denied_policy", "session_blocklist"),
        ({"blocklist": ["add"]}, "add", {}, "denied_schema", "denied_schema"),
        ({"allowlist": []}, "add", {"a": 1}, "denied_policy", "session_allowlist"),
        ({"allowlist": ["add"]}, "add", {"a": 1}, "ok", "allowed"),
        ({"no_network": True}, "add", {"a": 1}, "ok", "allowed"),
        ({"no_network": True}, "search_web", {}, "denied_policy", "no_network"),
        ({"no_network": True}, "undeclared", {}, "denied_policy", "no_network"),
        ({"no_network": True}, "fetch_notes", {}, "ok", "allowed"),
        ({"dry_run": True}, "add", {"a": 1}, "dry_run", "dry_run"),
        ({"dry_run": True}, "add", {}, "denied_schema", "denied_schema"),
        ({"dry_run": True, "allowlist": []}, "add", {"a": 1}, "denied_policy", "session_allowlist"),
        ({}, "failing", {}, "error", "tool_failed"),
        ({}, "refusing", {}, "error", "tool_error"),
        ({}, "hanging", {}, "error", "tool_timeout"),
    ],
)
def test_step_is_decided(policy: dict[str, Any], tool: str, args: Any, decision: str, reason: str) -> None:
    client = sample()
    harness = MCPHarness(client, "gpt-4", PolicyConfig(**policy), timeout_s=0.05)
    session, step = asyncio.run(one_step(harness, "assistant", "go", tool, args))
    assert (step.decision.value, step.reason) == (decision, reason)
    assert (step.error is None) == (decision in ("ok", "dry_run"))
    runs = decision in ("ok", "error")
    assert client.calls == ([(tool, args)] if runs else [])
    assert (session.steps, session.status, client.seen[-1]) == ([step], "closed", "close")


@pytest.mark.parametrize(
    ("role", "tool", "channel"),
    [
        ("user", None, Channel.USER_TO_LLM),
        ("assistant", "undeclared", Channel.LLM_TO_TOOL),
        ("assistant", None, Channel.TOOL_TO_LLM),
        ("tool", None, Channel.TOOL_TO_LLM),
        ("tool", "undeclared", Channel.TOOL_TO_LLM),
    ],
)
def test_step_has_the_channel_of_its_role(role: str, tool: str | None, channel: Channel) -> None:
    _, step = asyncio.run(one_step(MCPHarness(sample(), "gpt-4"), role, "hello", tool))
    assert (step.channel, step.role, step.decision) == (channel, role, "ok")
    assert (step.output is None) == (tool is None)


def test_dry_run_says_what_it_would_call_and_estimates_its_figures() -> None:
    client = sample()
    harness = MCPHarness(client, "gpt-4", PolicyConfig(dry_run=True))
    session, step = asyncio.run(one_step(harness, "assistant", "12345678", "add", {"a": 1}))
    assert (step.output_text, step.dry_run, step.output) == ("[DRY RUN] Would call add", True, None)
    assert (step.tokens_in, step.tokens_out, step.token_source) == (3, 6, "estimate")
    assert (session.total_tokens_in, session.total_tokens_out, client.calls) == (3, 6, [])


def test_network_guess_is_shown_and_decides_nothing() -> None:
    harness = MCPHarness(sample(), "gpt-4", PolicyConfig(no_network=True))
    _, step = asyncio.run(one_step(harness, "assistant", "go", "fetch_notes", {}))
    guess = step.guardrail_signals[0]
    assert (step.decision, guess.provider, guess.metric, guess.violated) == ("ok", "heuristic", "network", False)
    _, plain = asyncio.run(one_step(harness, "assistant", "go", "add", {"a": 1}))
    assert [signal.provider for signal in plain.guardrail_signals if signal.provider == "heuristic"] == []
    address = {"where": "see https://example.com"}
    _, other = asyncio.run(one_step(harness, "assistant", "go", "undeclared", address))
    assert (other.decision, other.guardrail_signals[0].provider) == ("denied_policy", "heuristic")


def test_steps_beyond_the_limit_are_refused_and_kept_nowhere() -> None:
    client = sample()
    harness = MCPHarness(client, "gpt-4", PolicyConfig(max_steps=2))

    async def main() -> tuple[MCPSession, list[MCPStep]]:
        session = await harness.start_session()
        asked: list[tuple[Any, ...]] = [("assistant", "go", "add", {"a": 1}), ("user", "hello")]
        asked += [("user", "more"), ("assistant", "go", "add", {})]
        steps = [await harness.execute_step(session, *one) for one in asked]
        await harness.close_session(session)
        return session, steps

    session, steps = asyncio.run(main())
    assert [step.decision.value for step in steps] == ["ok", "ok", "denied_policy", "denied_policy"]
    assert [(step.reason, step.error) for step in steps[2:]] == [("max_steps", "Max steps exceeded")] * 2
    assert [(step.number, step.step_id) for step in steps] == [(1, "step_1"), (2, "step_2"), (0, ""), (0, "")]
    assert session.steps == steps[:2]
    assert (session.steps_refused, session.max_steps, len(client.calls)) == (2, 2, 1)


def test_session_without_a_limit_of_its_own_has_a_hundred_steps() -> None:
    harness = MCPHarness(sample(), "gpt-4")

    async def main() -> MCPSession:
        session = await harness.start_session()
        for _ in range(101):
            await harness.execute_step(session, "user", "again")
        await harness.close_session(session)
        return session

    session = asyncio.run(main())
    assert (len(session.steps), session.steps_refused, session.max_steps) == (100, 1, 100)


def test_limit_and_totals_are_exact_when_steps_run_at_once() -> None:
    client = sample()
    harness = MCPHarness(client, "gpt-4", PolicyConfig(max_steps=20))

    async def main() -> tuple[MCPSession, list[MCPStep]]:
        session = await harness.start_session()
        asked = [harness.execute_step(session, "assistant", "go", "add", {"a": n}, tokens_in=n) for n in range(32)]
        steps = await asyncio.gather(*asked)
        await harness.close_session(session)
        return session, steps

    session, steps = asyncio.run(main())
    done = [step for step in steps if step.decision == StepDecision.OK]
    assert (len(done), session.steps_refused, len(client.calls)) == (20, 12, 20)
    assert [step.number for step in session.steps] == list(range(1, 21))
    assert session.total_tokens_in == sum(step.tokens_in for step in done) == sum(range(20))
    assert session.total_tokens_out == sum(step.tokens_out for step in done)
    assert session.total_latency_ms == pytest.approx(sum(step.latency_ms for step in done))


def test_thirty_two_steps_share_one_connection(mcp: WebSocketMCP) -> None:
    harness = MCPHarness(MCPClient(mcp.url), "gpt-4", PolicyConfig(max_steps=32))

    async def main() -> list[MCPStep]:
        session = await harness.start_session()
        asked = [harness.execute_step(session, "assistant", "go", "calculate", {"a": n, "b": 0}) for n in range(32)]
        steps = await asyncio.gather(*asked)
        await harness.close_session(session)
        return steps

    before = len(mcp.handshakes)
    steps = asyncio.run(main())
    assert [step.output["structuredContent"]["total"] for step in steps] == list(range(32))
    assert len(mcp.handshakes) == before + 1


def test_same_run_twice_gives_the_same() -> None:
    def run() -> tuple[dict[str, Any], dict[str, Any]]:
        guardrails = {"thresholds": {"toxicity": 0.3, "pii": 0.0}, "mode": "mixed"}
        harness = MCPHarness(sample(), "gpt-4", PolicyConfig(allowlist=["undeclared", "add"]), guardrails)

        async def main() -> MCPSession:
            session = await harness.start_session("same", preflight_texts=["hello"])
            asked: list[tuple[Any, ...]] = [
                ("user", "hello"),
                ("assistant", "go", "add", {"a": 1}),
                ("assistant", "alice@example.com", "add", {"a": 1}),
                ("assistant", "go", "search_web", {}),
                ("assistant", "go", "add", {"a": "x"}),
            ]
            for one in asked:
                await harness.execute_step(session, *one)
            await harness.close_session(session)
            return session

        found = asyncio.run(main()).to_dict()
        return found, {"latency": found.pop("total_latency_ms")} | {
            step["step_id"]: step.pop("latency_ms") for step in found["steps"]
        }

    (first, _), (second, _) = run(), run()
    assert first == second
    assert [step["decision"] for step in first["steps"]] == [
        *("ok", "ok", "denied_policy", "denied_policy", "denied_schema")
    ]


def test_hash_is_of_the_configuration_in_any_order_and_of_nothing_else() -> None:
    def hashed(policy: PolicyConfig, guardrails: dict[str, Any], model: str = "gpt-4", name: str = "a") -> str:
        harness = MCPHarness(sample(), model, policy, guardrails)

        async def main() -> str:
            session = await harness.start_session(name)
            await harness.close_session(session)
            return session.rules_hash

        return asyncio.run(main())

    guardrails = {"mode": "mixed", "thresholds": {"pii": 0, "secrets": 0.5}}
    reordered = {"thresholds": {"secrets": 0.5, "pii": 0.0}, "mode": "mixed"}
    one = hashed(PolicyConfig(allowlist=["a", "b"]), guardrails)
    assert hashed(PolicyConfig(["b", "a", "a"]), reordered, name="b") == one
    others = {
        hashed(PolicyConfig(allowlist=["a"]), guardrails),
        hashed(PolicyConfig(allowlist=["a", "b"]), guardrails | {"mode": "advisory"}),
        hashed(PolicyConfig(allowlist=["a", "b"]), guardrails, "gpt-5"),
    }
    assert len(others | {one}) == 4


def test_step_holds_no_secret_and_says_what_was_masked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = f"ghp_{CANARY}"
    answer = {"token": CANARY, "pin": CANARY, "text": f"{secret} " * 40}
    client = SampleClient(
        [listed("leak", f"See {secret}.")],
        leak=lambda args: answer,
    )
    harness = MCPHarness(client, "gpt-4")
    args = {"password": CANARY, "note": f"use {secret}", "long": "x" * 500}
    session, step = asyncio.run(one_step(harness, "assistant", f"Take {secret}", "leak", args))
    failing = MCPHarness(BrokenClient("call_tool", ValueError(secret)), "gpt-4")
    _, failed = asyncio.run(one_step(failing, "assistant", "", "t"))
    assert (step.decision, failed.decision) == ("ok", "error")
    assert step.output == answer
    kept = json.dumps([session.to_dict(), step.to_dict(), failed.to_dict()])
    assert CANARY not in kept + caplog.text + repr(step) + repr(session)
    assert {"/input_text", "/tool_args/password", "/tool_args/note", "/output_text/pin"} <= set(step.masked_paths)
    assert step.tool_args is not None
    assert len(step.tool_args["long"]) == 200
    assert len(step.output_text or "") <= 200
    assert "leak" not in caplog.text


def test_what_runs_is_what_was_checked() -> None:
    async def main() -> None:
        client = sample()
        harness = MCPHarness(client, "gpt-4")
        session = await harness.start_session()
        args: dict[str, Any] = {"a": 1}
        running = asyncio.create_task(harness.execute_step(session, "assistant", "go", "add", args))
        await asyncio.sleep(0)
        args["a"] = "changed"
        assert (await running).decision == "ok"
        assert client.calls == [("add", {"a": 1})]
        await harness.close_session(session)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (("system", "x"), ValueError),
        (("user", "x", "add", {}), ValueError),
        (("user", "x", None, {}), ValueError),
        (("assistant", "x", "", {}), ValueError),
        (("assistant", 7), TypeError),
        (("assistant", "x", "add", [1]), TypeError),
        (("assistant", "x", "add", {"a": float("nan")}), ValueError),
        (("assistant", "x", "add", {"a": object()}), TypeError),
    ],
)
def test_what_is_no_step_is_not_counted(asked: tuple[Any, ...], kind: type[Exception]) -> None:
    async def main() -> None:
        harness = MCPHarness(sample(), "gpt-4")
        session = await harness.start_session()
        with pytest.raises(kind):
            await harness.execute_step(session, *asked)
        with pytest.raises(ValueError, match="tokens"):
            await harness.execute_step(session, "user", "x", tokens_in=-1)
        with pytest.raises(ValueError, match="idempotency"):
            await harness.execute_step(session, "user", "x", idempotency_key="k")
        assert session.steps == []
        assert (await harness.execute_step(session, "user", "x")).number == 1
        await harness.close_session(session)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"model": ""}, ValueError, "model"),
        ({"policy_config": {"max_steps": 1}}, TypeError, "policy_config"),
        ({"guardrails_config": {"mode": "strict"}}, ValueError, "advisory, mixed or hard_gate"),
        ({"guardrails_config": {"level": 1}}, ValueError, "nothing else"),
        ({"guardrails_config": {"thresholds": {"pii": 2}}}, ValueError, "from 0 to 1"),
        ({"guardrails_config": {"thresholds": {"pii": True}}}, ValueError, "from 0 to 1"),
        ({"guardrails_config": {"thresholds": {"spam": 0.1}}}, ValueError, "pii, secrets"),
        ({"guardrails_config": {"thresholds": [0.1]}}, ValueError, "pii, secrets"),
        ({"upstream": "orders"}, ValueError, "upstream"),
        ({"timeout_s": 0}, ValueError, "timeout_s"),
        ({"client": object()}, TypeError, "connect, list_tools, call_tool and close"),
    ],
)
def test_harness_says_what_it_cannot_be_made_of(options: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        MCPHarness(**{"client": sample(), "model": "gpt-4", **options})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"max_steps": 0}, "max_steps"),
        ({"allowlist": "search"}, "allowlist"),
        ({"blocklist": [1]}, "blocklist"),
        ({"dry_run": 1}, "dry_run"),
    ],
)
def test_policy_says_what_is_wrong_with_it(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PolicyConfig(**given)


@pytest.mark.parametrize("at", ["connect", "list_tools"])
def test_client_that_fails_at_the_start_is_left_closed(at: str) -> None:
    client = BrokenClient(at, OSError("no"))
    harness = MCPHarness(client, "gpt-4")
    with pytest.raises(OSError, match="no"):
        asyncio.run(harness.start_session("s"))
    assert client.seen == (["connect"] if at == "connect" else ["connect", "close"])
    client._at = "nowhere"
    assert asyncio.run(one_step(harness, "user", "x"))[1].decision == "ok"


def test_client_that_does_not_close_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    client = BrokenClient("close", OSError(CANARY))
    session, _ = asyncio.run(one_step(MCPHarness(client, "gpt-4"), "user", "x"))
    assert session.status == "closed"
    assert "the client did not close: OSError" in caplog.text
    assert CANARY not in caplog.text


def test_client_is_shared_by_sessions_and_closed_with_the_last() -> None:
    async def main() -> list[str]:
        client = sample()
        harness = MCPHarness(client, "gpt-4")
        one, other = await asyncio.gather(harness.start_session("a"), harness.start_session("b"))
        with pytest.raises(Conflict, match="session_exists"):
            await harness.start_session("a")
        await harness.close_session(one)
        await harness.close_session(one)
        assert "close" not in client.seen
        with pytest.raises(Conflict, match="session_closed"):
            await harness.execute_step(one, "user", "x")
        assert (await harness.execute_step(other, "user", "x")).decision == "ok"
        await harness.close_session(other)
        again = await harness.start_session("a")
        with pytest.raises(Conflict, match="session_closed"):
            await harness.execute_step(one, "user", "x")
        await harness.close_session(again)
        return client.seen

    once, again = ["connect", "list_tools", "list_tools", "close"], ["connect", "list_tools", "close"]
    assert asyncio.run(main()) == once + again


def test_session_is_closed_when_its_running_steps_have_ended() -> None:
    async def main() -> None:
        go = asyncio.Event()
        client = SampleClient([listed("wait")], wait=lambda args: go.wait())
        harness = MCPHarness(client, "gpt-4")
        session = await harness.start_session()
        running = asyncio.create_task(harness.execute_step(session, "assistant", "go", "wait"))
        while not client.calls:
            await asyncio.sleep(0)
        closing = asyncio.create_task(harness.close_session(session))
        for _ in range(10):
            await asyncio.sleep(0)
        assert (session.status, closing.done(), "close" in client.seen) == ("closed", False, False)
        with pytest.raises(Conflict):
            await harness.execute_step(session, "user", "x")
        go.set()
        await closing
        assert running.done()
        assert ((await running).decision, client.seen[-1]) == ("ok", "close")

    asyncio.run(main())


def test_client_is_closed_also_where_closing_is_given_up() -> None:
    async def main() -> None:
        client = sample()
        harness = MCPHarness(client, "gpt-4")
        session = await harness.start_session()
        running = asyncio.create_task(harness.execute_step(session, "assistant", "go", "hanging"))
        while not client.calls:
            await asyncio.sleep(0)
        closing = asyncio.create_task(harness.close_session(session))
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert client.seen[-1] == "close"
        running.cancel()
        await asyncio.wait({running})
        assert (await one_step(harness, "user", "x"))[1].decision == "ok"

    asyncio.run(main())


def test_step_that_is_cut_off_says_so_and_lets_the_session_close() -> None:
    async def main() -> MCPSession:
        client = sample()
        harness = MCPHarness(client, "gpt-4")
        session = await harness.start_session()
        running = asyncio.create_task(harness.execute_step(session, "assistant", "go", "hanging"))
        while not client.calls:
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await harness.close_session(session)
        return session

    (step,) = asyncio.run(main()).steps
    assert (step.decision, step.reason) == ("error", "outcome_unknown")


def test_check_that_fails_lets_nothing_through(caplog: pytest.LogCaptureFixture) -> None:
    client = sample()
    half_a_character = {"a": f"{CANARY}\ud800"}
    session, step = asyncio.run(one_step(MCPHarness(client, "gpt-4"), "assistant", "go", "add", half_a_character))
    assert (step.decision, step.reason, client.calls) == ("error", "internal_error", [])
    assert (step.error, session.status) == ("A check failed (UnicodeEncodeError).", "closed")
    assert CANARY not in caplog.text


def test_records_are_json() -> None:
    session, step = asyncio.run(one_step(MCPHarness(sample(), "gpt-4"), "assistant", "go", "add", {"a": 1}))
    found = json.loads(json.dumps(session.to_dict()))
    assert found["steps"] == [json.loads(json.dumps(step.to_dict()))]
    seed = {
        *("step_id", "role", "input_text", "selected_tool", "tool_args", "output_text", "error", "decision", "channel"),
        *("latency_ms", "tokens_in", "tokens_out", "cost_est", "guardrail_signals", "reused_fingerprints"),
    }
    assert seed <= found["steps"][0].keys()
    assert {
        *("session_id", "model", "rules_hash", "steps", "tools_discovered", "total_latency_ms", "total_tokens_in"),
        *("total_tokens_out", "total_cost_est", "preflight_result", "session_violations"),
    } <= found.keys()
    assert "output" not in found["steps"][0]


def test_tokens_that_a_provider_counted_are_kept_and_priced() -> None:
    harness = MCPHarness(sample(), "gpt-4o", provider="openai")
    session, step = asyncio.run(one_step(harness, "user", "x", tokens_in=1000, tokens_out=100))
    assert (step.tokens_in, step.tokens_out, step.token_source) == (1000, 100, "reported")
    assert step.cost_est == session.total_cost_est == 0.0035
    _, unknown = asyncio.run(one_step(MCPHarness(sample(), "my-own-model"), "user", "x"))
    assert unknown.cost_est is None
