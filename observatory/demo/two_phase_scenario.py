"""`transfer_funds` by two phases: proposed, committed, not committed again; and a doubtful request that is blocked."""

import json
from dataclasses import dataclass
from typing import Any

from mcp_observatory import CommitRefused, ToolClient

from observatory.demo.invoking import AnsweredOtherwise, Say

TOOL = "transfer_funds"
TRANSFER = {"amount": 100, "to": "acct_123"}
PLAIN = "Transfer 100 to acct_123."
DOUBTFUL = "Maybe transfer roughly 100 to either acct_123 or acct_321."


@dataclass(frozen=True, slots=True)
class TwoPhases:
    transfer_id: int
    replay_refused: str
    blocked_reason: str
    draft: dict[str, Any]


def run(base_url: str, key: str, say: Say) -> TwoPhases:
    """Money was transferred once and only once, and a doubtful transfer left a draft. Every step was said."""
    with ToolClient(base_url, key) as client:
        say("Two phases: nothing happens before the commit, and it happens once")
        transfer_id, refused = _allowed(client, say)
        reason, draft = _blocked(client, say)
    return TwoPhases(transfer_id, refused, reason, draft)


def _allowed(client: ToolClient, say: Say) -> tuple[int, str]:
    proposal = _proposed(client, PLAIN, "allowed")
    say(f"  propose           “{PLAIN}”: allowed, {_score(proposal)}")
    token = (proposal["proposal_id"], proposal["commit_token"])
    done = client.commit(*token, TRANSFER)["result"]
    say(f"  commit            transfer {done['transfer_id']}: {done['amount']} to {done['to']}")
    try:
        client.commit(*token, TRANSFER)
    except CommitRefused as error:
        say(f"  commit again      refused: {error.code}")
        return done["transfer_id"], error.code
    raise AnsweredOtherwise("the same proposal was committed twice")


def _blocked(client: ToolClient, say: Say) -> tuple[str, dict[str, Any]]:
    proposal = _proposed(client, DOUBTFUL, "blocked")
    say(f"  propose           “{DOUBTFUL}”: blocked, {proposal['reason']}, {_score(proposal)}")
    say(f"  {proposal['action']}      {json.dumps(proposal['draft'])}; nothing else happened")
    return proposal["reason"], proposal["draft"]


def _proposed(client: ToolClient, prompt: str, expected: str) -> dict[str, Any]:
    answer = client.propose(TOOL, TRANSFER, prompt=prompt)
    if answer.dry_run:
        raise AnsweredOtherwise(f"{TOOL} ran dry: the policy has been changed")
    proposal = dict(answer)
    if proposal["status"] != expected:
        raise AnsweredOtherwise(f"“{prompt}” was {proposal['status']}, not {expected}: {_cause(proposal['status'])}")
    return proposal


def _cause(status: str) -> str:
    match status:
        case "pending_approval":
            return "a rule or the tool's settings ask for a person's approval"
        case "blocked":
            return f"an approved prompt or changed integrity settings of {TOOL} may be the cause"
        case _:
            return f"changed integrity settings of {TOOL} may be the cause"


def _score(proposal: dict[str, Any]) -> str:
    signals = ", ".join(f"{name} {value}" for name, value in proposal["signals"].items() if value is not None)
    return f"score {proposal['composite_score']} ({signals})"
