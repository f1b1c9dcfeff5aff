"""The harness of the client library against the observatory itself: it decides, or it is told what was decided."""

import asyncio
import json
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from mcp_observatory import Conflict, ToolClient
from mcp_observatory.harness import MCPClient, MCPHarness, MCPSession, MCPStep, PolicyConfig, StepDecision

from observatory.demo.models import Customer, Ticket
from telemetry.models import Session, Span, Step
from tests.serving import Server, serving
from tests.world import SEED_TOOLS, Caller, World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
Found = TypeVar("Found")
CANARY = "Zq7Canary9abcDEF0123456789"


@pytest.fixture
def caller(world: World) -> Caller:
    return world.caller(world.allowing())


@pytest.fixture
def server(tmp_path: Any, caller: Caller) -> Iterator[Server]:
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def client(server: Server, caller: Caller) -> Iterator[ToolClient]:
    with ToolClient(server.url, caller.secret) as made:
        yield made


def concluded(work: Coroutine[Any, Any, Found]) -> Found:
    """What it answers, in a thread of its own: a browser test before may have left an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def run(harness: MCPHarness, *steps: tuple[Any, ...], name: str = "demo_session") -> MCPSession:
    session = await harness.start_session(name)
    for one in steps:
        await harness.execute_step(session, *one)
    await harness.close_session(session)
    return session


def test_basic_session_of_the_seed(client: ToolClient) -> None:
    async def main() -> tuple[MCPSession, MCPStep]:
        harness = MCPHarness(client, model="gpt-4")
        session = await harness.start_session("demo_session")
        step = await harness.execute_step(
            session, "assistant", "Search for ACME", tool_name="search_customer", tool_args={"query": "acme"}
        )
        await harness.close_session(session)
        return session, step

    session, step = concluded(main())
    assert (step.decision, step.channel, step.reason) == ("ok", "llm_to_tool", "allowed")
    assert [one["name"] for one in step.output["results"]] == ["ACME AB"]
    assert {tool.name for tool in session.tools_discovered} == set(SEED_TOOLS)
    assert (session.status, session.total_tokens_in) == ("closed", step.tokens_in)
    kept = Session.objects.get()
    assert (kept.session_id, kept.status, kept.rules_hash) == ("demo_session", "closed", session.rules_hash)
    assert (kept.total_latency_ms, float(kept.total_cost_est)) == (session.total_latency_ms, session.total_cost_est)
    assert Span.objects.get(kind="tool_call").trace_id == step.trace_id


def test_policy_guards_of_the_seed(client: ToolClient) -> None:
    policy = PolicyConfig(allowlist=["search_customer", "create_ticket"], no_network=True, dry_run=False, max_steps=10)
    session = concluded(
        run(
            MCPHarness(client, model="gpt-4", policy_config=policy),
            ("user", "Hello"),
            ("assistant", "go", "search_customer", {"query": "acme"}),
            ("assistant", "go", "send_message", {"channel": "c", "message": "m"}),
            ("assistant", "go", "search_customer", {"query": 7}),
            ("assistant", "go", "no_such_tool", {}),
        )
    )
    assert [(step.decision.value, step.reason) for step in session.steps] == [
        ("ok", "allowed"),
        ("ok", "allowed"),
        ("denied_policy", "session_allowlist"),
        ("denied_schema", "denied_schema"),
        ("denied_policy", "unknown_tool"),
    ]
    assert {tool.name for tool in session.tools_discovered} == {"search_customer", "create_ticket"}
    assert session.policy["max_steps"] == session.max_steps == 10


def test_guardrails_of_the_seed(client: ToolClient) -> None:
    guardrails_config = {"mode": "mixed", "thresholds": {"toxicity": 0.3, "pii": 0.0}}
    session = concluded(
        run(
            MCPHarness(client, model="gpt-4", guardrails_config=guardrails_config),
            ("assistant", "go", "search_customer", {"query": "acme"}),
            ("user", "Write to alice@example.com"),
        )
    )
    fine, private = session.steps
    assert (fine.decision, private.decision, private.reason) == ("ok", "denied_policy", "guardrail_input")
    (found,) = [signal for signal in private.violations if signal.metric == "pii"]
    assert (found.kinds, found.denies) == ({"email": 1}, True)
    assert any(signal.reused and signal.reason == "Reused from Preflight" for signal in fine.guardrail_signals)
    assert fine.reused_fingerprints
    assert session.guardrails["mode"] == "mixed"


def test_dry_run_runs_nothing(client: ToolClient, world: World) -> None:
    harness = MCPHarness(client, "gpt-4", PolicyConfig(dry_run=True))
    asked = {"customer_id": world.acme.pk, "title": "Printer on fire"}
    (step,) = concluded(run(harness, ("assistant", "go", "create_ticket", asked))).steps
    assert (step.decision, step.dry_run) == (StepDecision.DRY_RUN, True)
    assert step.output_text is not None
    assert step.output_text.startswith("[DRY RUN] Would call create_ticket")
    assert not Ticket.objects.exists()


def test_held_step_waits_for_a_person(client: ToolClient, world: World) -> None:
    asked = {"customer_id": world.acme.pk, "new_status": "paused"}
    (step,) = concluded(run(MCPHarness(client, "gpt-4"), ("assistant", "go", "update_customer_status", asked))).steps
    assert step.decision == StepDecision.HELD
    assert step.pending_action_id is not None
    assert client.action(step.pending_action_id)["status"] == "pending"
    assert Customer.objects.get(pk=world.acme.pk).status != "paused"


def test_limit_and_totals_are_exact_when_steps_run_at_once(client: ToolClient) -> None:
    async def main() -> tuple[MCPSession, list[MCPStep]]:
        harness = MCPHarness(client, "gpt-4", PolicyConfig(max_steps=20))
        session = await harness.start_session("busy")
        asked = [
            harness.execute_step(session, "assistant", "go", "search_customer", {"query": str(n)}, tokens_in=n)
            for n in range(32)
        ]
        steps = await asyncio.gather(*asked)
        await harness.close_session(session)
        return session, steps

    session, steps = concluded(main())
    done = [step for step in steps if step.decision == "ok"]
    beyond = [step for step in steps if step.decision != "ok"]
    assert (len(done), {(step.reason, step.error) for step in beyond}) == (20, {("max_steps", "Max steps exceeded")})
    assert [step.number for step in session.steps] == list(range(1, 21))
    assert session.steps_refused == 12
    kept = Session.objects.get()
    assert (kept.steps_begun, kept.steps_refused, kept.total_steps) == (20, 12, 20)
    assert kept.total_tokens_in == session.total_tokens_in == sum(step.tokens_in for step in done)


def test_same_run_twice_gives_the_same(client: ToolClient) -> None:
    def told(session: MCPSession) -> Any:
        changing = {"latency_ms", "trace_id"}
        return session.rules_hash, [
            {name: value for name, value in step.to_dict().items() if name not in changing} for step in session.steps
        ]

    steps = [
        ("user", "Hello"),
        ("assistant", "go", "search_customer", {"query": "acme"}),
        ("assistant", "alice@example.com", "search_customer", {"query": "acme"}),
        ("assistant", "go", "search_customer", {}),
    ]
    one, other = (
        concluded(
            run(
                MCPHarness(client, "gpt-4", PolicyConfig(allowlist=names), {"mode": "mixed", "thresholds": {"pii": 0}}),
                *steps,
                name=name,
            )
        )
        for name, names in [
            ("one", ["search_customer", "create_ticket"]),
            ("two", ["create_ticket", "search_customer"]),
        ]
    )
    assert told(one) == told(other)
    assert [step.decision.value for step in one.steps] == ["ok", "ok", "denied_policy", "denied_schema"]


def test_session_that_ended_takes_no_step(client: ToolClient) -> None:
    async def main() -> None:
        harness = MCPHarness(client, "gpt-4")
        session = await harness.start_session("s")
        with pytest.raises(Conflict, match="session_exists"):
            await harness.start_session("s")
        await harness.close_session(session)
        with pytest.raises(Conflict, match="session_closed"):
            await harness.execute_step(session, "user", "x")

    concluded(main())


def test_step_with_a_key_runs_once(client: ToolClient, world: World) -> None:
    async def main() -> list[MCPStep]:
        harness = MCPHarness(client, "gpt-4")
        session = await harness.start_session("s")
        asked = {"customer_id": world.acme.pk, "title": "Printer on fire"}
        return [
            await harness.execute_step(session, "assistant", "go", "create_ticket", asked, idempotency_key="t-1")
            for _ in range(2)
        ]

    first, second = concluded(main())
    assert first.output["ticket"] == second.output["ticket"]
    assert Ticket.objects.count() == 1


def test_checks_run_in_the_agent_against_this_server_and_are_told(server: Server, caller: Caller) -> None:
    """By MCP, the agent's own harness, its steps reported by the same key."""
    mcp = MCPClient(f"{server.url}/mcp", headers={"Authorization": f"Bearer {caller.secret}"})
    policy = PolicyConfig(allowlist=["search_customer", "send_message"], no_network=True, max_steps=5)
    harness = MCPHarness(mcp, "gpt-4", policy, {"mode": "mixed"}, server=(server.url, caller.secret))
    session = concluded(
        run(
            harness,
            ("user", "Hello"),
            ("assistant", "go", "search_customer", {"query": "acme"}),
            ("assistant", "go", "create_ticket", {"customer_id": 1, "title": "No such thing"}),
            ("assistant", "go", "search_customer", {"query": 7}),
            ("assistant", f"the key is ghp_{CANARY}", "search_customer", {"query": "acme"}),
            name="told",
        )
    )
    decisions = [(step.decision.value, step.reason) for step in session.steps]
    assert decisions == [
        ("ok", "allowed"),
        ("ok", "allowed"),
        ("denied_policy", "session_allowlist"),
        ("denied_schema", "denied_schema"),
        ("denied_policy", "guardrail_input"),
    ]
    assert session.reports_lost == 0
    kept = Session.objects.get(session_id="told")
    assert (kept.reported, kept.status, kept.max_steps) == (True, "closed", 5)
    told = list(Step.objects.filter(session=kept).order_by("number"))
    assert [(step.decision, step.reason) for step in told] == decisions
    assert [step.input_text for step in told] == [step.input_text for step in session.steps]
    assert [step.guardrail_signals for step in told] == [step.to_dict()["guardrail_signals"] for step in session.steps]
    assert kept.total_tokens_in == session.total_tokens_in
    assert CANARY not in json.dumps([step.as_json() for step in told])
