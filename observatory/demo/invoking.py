"""A tool is called as its gate wants it: at once, or proposed and then committed."""

import enum
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp_observatory import ToolClient

from observatory.demo.catalogue import shown, unspoken

Say = Callable[[str], None]


class AnsweredOtherwise(Exception):
    """A step of a scenario met an answer that it does not show."""


class End(enum.Enum):
    DONE = "done"
    COMMITTED = "committed"
    BLOCKED = "blocked"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Invoked:
    """How it ended. `facts` are the tool's result, or the draft of what was blocked; none of what waits."""

    tool: str
    end: End
    facts: Mapping[str, Any]
    score: float | None = None
    waits_as: str = ""


def gates_of(client: ToolClient) -> dict[str, str]:
    """What a call of each tool will meet, for the tools that this key sees."""
    return {tool["name"]: tool["gate"] for tool in client.list_tools()}


def invoke(client: ToolClient, gate: str, tool: str, arguments: Mapping[str, Any], prompt: str) -> Invoked:
    """The tool ran, or why it did not. Raises ToolCallError where it was refused."""
    if gate == "two_phase":
        return _by_two_phases(client, tool, arguments, unspoken(prompt, arguments))
    result = client.call(tool, arguments)
    if result.held:
        return Invoked(tool, End.HELD, {}, waits_as=result.pending_action_id or "")
    if result.dry_run:
        raise AnsweredOtherwise(f"{tool} ran dry: the policy has been changed")
    return Invoked(tool, End.DONE, dict(result))


def _by_two_phases(client: ToolClient, tool: str, arguments: Mapping[str, Any], prompt: str) -> Invoked:
    proposal = client.propose(tool, arguments, prompt=prompt)
    match proposal["status"]:
        case "allowed":
            done = client.commit(proposal["proposal_id"], proposal["commit_token"], arguments)
            if done.dry_run:
                raise AnsweredOtherwise(f"{tool} ran dry: the policy has been changed")
            return Invoked(tool, End.COMMITTED, done["result"], score=proposal["composite_score"])
        case "blocked":
            draft = {name: value for name, value in proposal["draft"].items() if name != "tool"}
            return Invoked(tool, End.BLOCKED, draft, score=proposal["composite_score"])
        case "pending_approval":
            return Invoked(tool, End.HELD, {}, waits_as=proposal["pending_action_id"])
        case other:
            raise AnsweredOtherwise(f"the proposal of {tool} is {other}")


def told(invoked: Invoked) -> str:
    """The end in a few words: never a secret, and for what was blocked the draft."""
    facts = json.dumps(shown(invoked.facts), ensure_ascii=False)
    match invoked.end:
        case End.DONE:
            return f"done: {facts}"
        case End.COMMITTED:
            return f"allowed with score {invoked.score}, committed: {facts}"
        case End.BLOCKED:
            return f"blocked with score {invoked.score}; a draft is left: {facts}"
        case End.HELD:
            return f"waits for a person as action {invoked.waits_as}"
