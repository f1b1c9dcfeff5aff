"""Runs what was committed: judged and burnt by approvals, then through the one door with the permit that gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from approvals.commits import Accepted, Attempt, Refusal, Repeated, accept
from observatory.approved import run_permitted
from tools.contract import Outcome
from tools.reasons import Reason, reason


@dataclass(frozen=True, slots=True)
class CommitAnswer:
    """What the agent is told. `body` is the whole answer; None where the run failed and a problem document says how."""

    reason: Reason
    commit_id: str
    body: Mapping[str, Any] | None
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    replayed: bool = False


def commit(attempt: Attempt) -> CommitAnswer:
    """The proposal ran, at most once, and is settled; or why it did not. A repeat by idempotency key is the first."""
    judged = accept(attempt)
    if isinstance(judged, Refusal):
        return _refused(judged)
    if isinstance(judged, Accepted):
        return _ran(judged.commit_id, run_permitted(judged.permit, attempt.now, attempt.trace))
    return _repeated(judged)


def _refused(judged: Refusal) -> CommitAnswer:
    why = reason(judged.code)
    detail = judged.detail or why.meaning
    body = {"status": "blocked", "commit_id": judged.commit_id, "reason": judged.code, "detail": detail}
    facts = {} if judged.retry_after_s is None else {"retry_after_s": judged.retry_after_s}
    return CommitAnswer(why, judged.commit_id, body, detail, facts)


def _ran(commit_id: str, outcome: Outcome | Reason) -> CommitAnswer:
    if isinstance(outcome, Reason):
        return CommitAnswer(outcome, commit_id, None)
    return CommitAnswer(
        outcome.reason, commit_id, _body(outcome.reason, commit_id, outcome.body), outcome.detail, outcome.facts
    )


def _repeated(judged: Repeated) -> CommitAnswer:
    why, facts = judged.stop.reason, dict(judged.stop.facts)
    result = dict(facts.pop("body", {}))
    if "idempotent_replay" in result:
        result["idempotent_replay"] = True
    body = _body(why, judged.commit_id, result)
    return CommitAnswer(why, judged.commit_id, body, judged.stop.detail, facts, replayed=True)


def _body(why: Reason, commit_id: str, result: Mapping[str, Any]) -> dict[str, Any] | None:
    """`committed` only where the tool ran; a rule that makes a dry run of it now is said as such."""
    if why.code == "dry_run":
        return {**result, "commit_id": commit_id}
    return {"status": "committed", "commit_id": commit_id, "result": dict(result)} if why.code == "allowed" else None
