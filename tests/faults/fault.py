"""What a seeded fault is, and the files that are spoken of.

A test that passes with a fault in place proves nothing of what it says. Old text stands exactly once in its file: where
it does not, the runner says so, and the lists are mended with the code.
"""

from __future__ import annotations

from dataclasses import dataclass

TRANSITIONS, COMMITS, TOKEN = "approvals/transitions.py", "approvals/commits.py", "approvals/commit_token.py"
ACTIONS, KEYS, PROPOSING = "approvals/actions.py", "approvals/signing_keys.py", "approvals/proposing.py"
T_TRANSITIONS, T_COMMITS = "tests/approvals/test_transitions.py", "tests/journeys/test_commits.py"
T_PROPOSALS, T_CARRYING = "tests/journeys/test_proposals.py", "tests/approvals/test_cut_off.py"
T_TOKENS, T_RACES = "tests/approvals/test_tokens_that_are_not_given.py", "tests/races/test_commit_races.py"
T_DECISIONS, T_HELD = "tests/races/test_decision_races.py", "tests/journeys/test_held_calls.py"
T_CHANGES = "tests/journeys/test_changes_before_commit.py"
T_WAITING = "tests/journeys/test_waiting_proposals.py"
ACTION_ROWS = "approvals/action_rows.py"


@dataclass(frozen=True)
class Edit:
    """In this file, this text becomes that one."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Fault:
    """What is broken, how, and which tests must fail of it. Several edits are one fault behind two defences."""

    id: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def fault(id_: str, test: str, *edits: tuple[str, str, str]) -> Fault:
    return Fault(id_, tuple(Edit(*edit) for edit in edits), (test,))
