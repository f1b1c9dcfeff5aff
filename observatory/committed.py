"""Runs what was committed: judged and burnt by approvals, then through the one door with the permit that gives."""

from dataclasses import dataclass

from approvals.commits import Accepted, Attempt, Refusal, Repeated, accept
from observatory.approved import run_permitted
from tools.contract import Outcome, Stop
from tools.reasons import Reason


@dataclass(frozen=True, slots=True)
class Committed:
    """The token was spent. `outcome` is what the run came to; a Reason where it could not begin."""

    commit_id: str
    outcome: Outcome | Reason | Stop


def commit(attempt: Attempt) -> Committed | Refusal:
    """The proposal ran, at most once, and is settled; or why it did not. A repeat by idempotency key is the first."""
    judged = accept(attempt)
    if isinstance(judged, Accepted):
        return Committed(judged.commit_id, run_permitted(judged.permit, attempt.now, attempt.trace))
    if isinstance(judged, Repeated):
        return Committed(judged.commit_id, judged.stop)
    return judged
