"""Runs of an agent under the harness: a conversation, each kind of refusal, a dry run, a step limit, a report."""

import asyncio
import time
import urllib.request
from pathlib import Path

from mcp_observatory import ToolClient
from mcp_observatory.harness import MCPHarness, MCPSession, MCPStep, PolicyConfig

from observatory.demo.invoking import AnsweredOtherwise, Say

MODEL = "gpt-4o"
SEARCH, TICKET, MESSAGE = "search_customer", "create_ticket", "send_message"
ADDRESS = "lee.moss@example.com"
# What each step of the guarded run comes to: the words that a session team looks for.
EXPECTED = ("ok", "ok", "denied_schema", "denied_policy", "error", "denied_policy", "ok", "denied_policy")


def run(base_url: str, key: str, say: Say, report: Path | None = None) -> list[str]:
    """The decisions of the guarded run; the report is written where a path is given."""
    with ToolClient(base_url, key) as client:
        decisions = asyncio.run(_runs(client, say))
    if report is not None:
        _write(base_url, key, report)
        say(f"  the report of these runs: {report}")
    return decisions


async def _runs(client: ToolClient, say: Say) -> list[str]:
    say("Runs of an agent under the harness")
    name = f"demo-{time.time_ns()}"
    guarded = MCPHarness(
        client,
        MODEL,
        PolicyConfig(blocklist=[MESSAGE], max_steps=7),
        {"mode": "mixed", "thresholds": {"pii": 0.0}},
    )
    steps = await _guarded(guarded, await guarded.start_session(name), say)
    dry = MCPHarness(client, MODEL, PolicyConfig(dry_run=True))
    session = await dry.start_session(f"{name}-dry")
    step = await dry.execute_step(
        session, "assistant", "I open a ticket", TICKET, {"customer_id": 1, "title": "Printer on fire"}
    )
    await dry.close_session(session)
    say(f"  in a session that runs dry: {step.output_text}")
    found = [step.decision.value for step in steps]
    if tuple(found) != EXPECTED or step.decision.value != "dry_run":
        raise AnsweredOtherwise(f"the steps came to {found}, and {step.decision.value} in the dry run")
    return found


async def _guarded(harness: MCPHarness, session: MCPSession, say: Say) -> list[MCPStep]:
    unknown = 10**9
    asked = (
        ("user", "Is ACME AB still a customer?", None, None),
        ("assistant", "I look it up.", SEARCH, {"query": "acme"}),
        ("assistant", "I open a ticket without saying for whom.", TICKET, {"title": "Printer"}),
        ("assistant", "I tell the support channel.", MESSAGE, {"channel": "support", "message": "hello"}),
        ("assistant", "I open a ticket for nobody.", TICKET, {"customer_id": unknown, "title": "Printer"}),
        ("assistant", "I look for a person by her address.", SEARCH, {"query": ADDRESS}),
        ("tool", "ACME AB is a customer.", None, None),
        ("user", "One more question.", None, None),
    )
    steps = []
    for role, text, tool, arguments in asked:
        step = await harness.execute_step(session, role, text, tool, arguments)
        steps.append(step)
        why = "" if step.decision.value == "ok" else f": {step.reason}"
        say(f"  {step.channel.value:<12} {tool or '(words)':<16} {step.decision.value}{why}")
    await harness.close_session(session)
    say(f"  {session.session_id}: {len(session.steps)} steps, {session.total_cost_est:.6f} USD; under Record, Sessions")
    return steps


def _write(base_url: str, key: str, path: Path) -> None:
    """The sessions of this key's agent as a workbook."""
    address = f"{base_url}/reports/sessions.xlsx"
    asked = urllib.request.Request(address, headers={"X-API-Key": key})  # noqa: S310 (our own)
    with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 (our own)
        path.write_bytes(answer.read())
