"""From what somebody says to a tool that ran: each prompt is planned, then invoked as the tool's gate wants it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mcp_observatory import ToolClient

from observatory.demo.catalogue import CATALOGUE, shown, unspoken
from observatory.demo.invoking import AnsweredOtherwise, Invoked, Say, gates_of, invoke, told
from observatory.demo.planner import plan
from observatory.demo.real_world_scenario import facts_of, gate_of, learned

UNPLANNED = "Freeze the card of customer 1 or maybe of customer 2."


@dataclass(frozen=True, slots=True)
class Planned:
    """What became of each prompt, in their order."""

    invoked: Sequence[Invoked]


def run(base_url: str, key: str, say: Say) -> Planned:
    """Each of the ten prompts was planned and invoked, and an ambiguous one was not."""
    with ToolClient(base_url, key) as client:
        say("From a prompt to an invocation, planned by patterns")
        gates = gates_of(client)
        facts = facts_of(client)
        done = []
        for entry in CATALOGUE:
            invoked = _planned(client, gates, entry.asked(facts), say)
            facts = learned(facts, invoked)
            done.append(invoked)
        if plan(UNPLANNED) is not None:
            raise AnsweredOtherwise(f"“{UNPLANNED}” was planned")
        say(f"  “{UNPLANNED}”\n    no plan: it can be read in two ways, so nothing is called")
    return Planned(done)


def _planned(client: ToolClient, gates: dict[str, str], prompt: str, say: Say) -> Invoked:
    found = plan(prompt)
    if found is None:
        raise AnsweredOtherwise(f"“{prompt}” was not planned")
    say(f"  “{unspoken(prompt, found.arguments)}”")
    invoked = invoke(client, gate_of(gates, found.tool), found.tool, found.arguments, prompt)
    arguments = json.dumps(shown(found.arguments), ensure_ascii=False)
    say(f"    {found.tool} {arguments}: {told(invoked).partition(':')[0]}")
    return invoked
