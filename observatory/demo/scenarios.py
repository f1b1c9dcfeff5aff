"""The first workflow, over HTTP like any agent: find, ticket, status change held, confirmed, message; then again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp_observatory import ToolCallError, ToolClient

Say = Callable[[str], None]
WORKFLOW_TOOLS = ("search_customer", "create_ticket", "update_customer_status", "send_message")


@dataclass(frozen=True, slots=True)
class Workflow:
    """What the two runs came to."""

    ticket_id: int
    replayed_ticket_id: int
    replayed: bool
    confirmed_status: str
    refused_code: str


def run(base_url: str, key: str, second_key: str | None, say: Say, *, run_name: str) -> Workflow:
    """Both scenarios ran against the live server; every step was said. Raises where a step answers otherwise."""
    client = ToolClient(base_url, key)
    say("Scenario 1: an agent with the key of the demonstration")
    first = _scenario(client, say, run_name)
    say("Scenario 2: the same once more; the ticket must not be made twice")
    second = _scenario(client, say, run_name)
    refused = _four_eyes(ToolClient(base_url, second_key), say) if second_key else "not shown"
    return Workflow(
        ticket_id=first["ticket"]["id"],
        replayed_ticket_id=second["ticket"]["id"],
        replayed=second["idempotent_replay"],
        confirmed_status=second["status"],
        refused_code=refused,
    )


def _scenario(client: ToolClient, say: Say, run_name: str) -> dict[str, Any]:
    names = {tool["name"] for tool in client.list_tools()}
    ours = [name for name in WORKFLOW_TOOLS if name in names]
    say(f"  discover          {len(names)} tools, among them {', '.join(ours)}")
    customer = client.call("search_customer", {"query": "acme"})["results"][0]
    say(f"  search_customer   {customer['name']} is customer {customer['id']}, status {customer['status']!r}")
    opened = client.call(
        "create_ticket",
        {"customer_id": customer["id"], "title": "Invoices are late", "priority": "high"},
        idempotency_key=f"{run_name}-ticket",
    )
    replay = opened["idempotent_replay"]
    say(f"  create_ticket     ticket {opened['ticket']['id']}, idempotent_replay: {replay}")
    held = client.call("update_customer_status", {"customer_id": customer["id"], "new_status": "priority"})
    action = held["pending_action_id"]
    say(f"  update_status     requires_confirmation: {held['requires_confirmation']}, action {action}")
    confirmed = client.confirm(action, approve=True)
    changed = confirmed["customer"]
    say(f"  confirm           {confirmed['status']}: {changed['name']} is now {changed['status']!r}")
    sent = client.call("send_message", {"channel": "#support", "message": f"Ticket {opened['ticket']['id']} is open."})
    say(f"  send_message      sent: {sent['sent']} to {sent['channel']}")
    return {"ticket": opened["ticket"], "idempotent_replay": replay, "status": confirmed["customer"]["status"]}


def _four_eyes(client: ToolClient, say: Say) -> str:
    say("A second agent, whose policy wants four eyes")
    held = client.call("update_customer_status", {"customer_id": 1, "new_status": "blocked", "confirm": True})
    say(f"  update_status     held although it said confirm: action {held['pending_action_id']}")
    try:
        client.confirm(held["pending_action_id"], approve=True)
    except ToolCallError as error:
        say(f"  confirm           refused: {error.code}; it waits in admin for somebody else")
        return error.code
    raise AssertionError("the second agent confirmed its own request")
