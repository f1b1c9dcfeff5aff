"""Ten everyday requests, each by its tool: those of standard risk with a simulated response and what it rests on,
those of high risk by proposal and commit, after which no model speaks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_observatory import ToolClient

from observatory.demo.catalogue import CATALOGUE, FRESH, Entry
from observatory.demo.invoking import AnsweredOtherwise, End, Invoked, Say, gates_of, invoke, told

# Finding what the requests are about.
ALSO_CALLED = ("search_customer", "create_ticket")


@dataclass(frozen=True, slots=True)
class RealWorld:
    """How each request ended, by tool."""

    ends: Mapping[str, End]


def run(base_url: str, key: str, say: Say) -> RealWorld:
    """All ten were asked for, and what became of each was said."""
    with ToolClient(base_url, key) as client:
        say("Ten everyday requests")
        gates = gates_of(client)
        facts = facts_of(client)
        ends = {}
        for entry in CATALOGUE:
            invoked = invoke(
                client, gate_of(gates, entry.tool), entry.tool, entry.called_with(facts), entry.asked(facts)
            )
            facts = learned(facts, invoked)
            ends[entry.tool] = invoked.end
            _tell(entry, invoked, say)
    return RealWorld(ends)


def facts_of(client: ToolClient) -> dict[str, Any]:
    """Who the requests are about, and a ticket of theirs; the same ticket when asked again within a day."""
    customer = _answered(client, "search_customer", {"query": "acme"})["results"][0]["id"]
    asked = {"customer_id": customer, "title": "Card was found again"}
    ticket = _answered(client, "create_ticket", asked, idempotency_key="everyday-requests")["ticket"]["id"]
    return dict(FRESH) | {"customer_id": customer, "ticket_id": ticket}


def _answered(
    client: ToolClient, tool: str, arguments: Mapping[str, Any], idempotency_key: str | None = None
) -> Mapping[str, Any]:
    answer = client.call(tool, arguments, idempotency_key=idempotency_key)
    if answer.held or answer.dry_run:
        became = "is held for a person" if answer.held else "ran dry"
        raise AnsweredOtherwise(f"{tool} {became}: the policy or the tool's settings have been changed")
    return answer


def gate_of(gates: Mapping[str, str], tool: str) -> str:
    """What a call of the tool will meet. Raises AnsweredOtherwise where this key does not see it."""
    if tool not in gates:
        raise AnsweredOtherwise(f"this key does not see {tool}: the policy has been changed, or is older than the tool")
    return gates[tool]


def learned(facts: Mapping[str, Any], invoked: Invoked) -> dict[str, Any]:
    """The facts, with the shipment that was just made: a later request cancels it."""
    if invoked.end is not End.DONE:
        return dict(facts)
    return dict(facts) | {name: value for name, value in invoked.facts.items() if name == "shipment_id"}


def _tell(entry: Entry, invoked: Invoked, say: Say) -> None:
    if entry.response and invoked.end is End.COMMITTED:
        raise AnsweredOtherwise(f"{entry.tool} is not of two phases in the catalogue")
    if invoked.end is not End.DONE:
        say(f"  {entry.tool:<26}{told(invoked)}")
        return
    if not entry.response:
        raise AnsweredOtherwise(f"{entry.tool} ran without its second phase")
    say(f"  {entry.tool:<26}{entry.responded(invoked.facts)}")
    say(f"  {'':<26}{entry.grounding(invoked.facts)}")
