"""Proposing and committing a ticket, as an agent does; shared by the tests of both phases."""

from __future__ import annotations

from typing import Any

from approvals.models import Commit

SAME = ["Open a ticket about late invoices", "Open a ticket about late invoices"]
APART = ["Open ticket 12 for Monday", "Close everything, refund 9000"]


def ticket(world: Any, title: str = "Late invoices") -> dict[str, Any]:
    return {"customer_id": world.acme.pk, "title": title}


def proposed(caller: Any, arguments: Any, outputs: Any = SAME, tool: str = "create_ticket", **headers: str) -> Any:
    body = {"tool": tool, "args": arguments, "prompt": "Please open a ticket."}
    return caller.post("/proposals", body | ({"candidate_outputs": outputs} if outputs else {}), **headers)


def committed(caller: Any, proposal: dict[str, Any], arguments: Any = None, **headers: str) -> Any:
    """A commit of what was proposed, with other arguments where given."""
    body = {
        "commit_token": proposal["commit_token"],
        "args": proposal["tool_args"] if arguments is None else arguments,
    }
    return caller.post(f"/proposals/{proposal['proposal_id']}/commit", body, **headers)


def refused(answer: Any, reason: str, status: int) -> dict[str, Any]:
    """The body of a refused commit, which is plain JSON and left its row."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body.get("reason")) == (status, reason), body
    assert answer["Content-Type"] == "application/json"
    assert body["status"] == "blocked"
    row = Commit.objects.get(pk=body["commit_id"])
    assert (row.accepted, row.reason) == (False, reason)
    return body
