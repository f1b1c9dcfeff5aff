"""A run of an agent as it happens: twelve steps, among them denials, a dry run, personal data and one that is held."""

from __future__ import annotations

from typing import Any

from telemetry.models import Session

HOSTILE = "<script>alert('from a step')</script>"
CARD = "4111 1111 1111 1111"


def told(world: Any, *, name: str = "run-2026-11-29-acme", **members: Any) -> Session:
    """The session, open, made by the door as its agent would."""
    policy = world.policy(
        "first line",
        {"tools": "*", "effect": "allow", "name": "Everyday tools"},
        {"tools": "update_customer_status", "effect": "require_approval", "name": "Status needs a person"},
        {"tools": "create_ticket", "effect": "dry_run", "name": "Tickets are tried first"},
        {
            "tools": "send_message",
            "effect": "deny",
            "name": "No customers' names in #sales",
            "conditions": [("args.channel", "equals", "#sales")],
        },
    )
    caller = world.caller(policy, name="support-agent")
    configuration = {
        "session_id": name,
        "model": "gpt-4o",
        "policy": {"blocklist": ["get_incident_impact"], "max_steps": 40},
        "guardrails": {"mode": "mixed", "thresholds": {"pii": 0.3}},
    }
    answer = caller.post("/sessions", configuration | members)
    assert answer.status_code == 201, answer.content

    def step(role: str, text: str = "", tool: str = "", args: Any = None, **more: Any) -> Any:
        body = {"role": role, "input_text": text, **more}
        if tool:
            body |= {"tool_name": tool, "tool_args": args or {}}
        done = caller.post(f"/sessions/{name}/steps", body)
        assert done.status_code == 200, done.content
        return done.json()

    step("user", f"Is ACME AB still a customer of ours? {HOSTILE}")
    step("assistant", "I look for ACME.", "search_customer", {"query": "acme"}, tokens_in=812, tokens_out=64)
    step("tool", "ACME AB is active.")
    step("assistant", "", "search_customer", {"wrong": "argument"})
    step("assistant", "", "get_incident_impact", {"incident_id": "INC-1"})
    step("assistant", "I tell the channel.", "send_message", {"channel": "#sales", "message": "ACME is active"})
    step("user", f"Then charge their card {CARD}, please.")
    step("assistant", "", "create_ticket", {"customer_id": world.acme.pk, "title": "Printer on fire"})
    step("assistant", "", "search_customer", {"query": "acme"}, tokens_in=1_020, tokens_out=12)
    step("assistant", "", "no_such_tool", {"a": 1})
    step("assistant", "", "update_customer_status", {"customer_id": world.acme.pk, "new_status": "vip"})
    step("assistant", "I asked for approval; somebody has to agree.\nMore when they did.")
    return Session.objects.get(session_id=name)
