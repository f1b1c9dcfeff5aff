"""The state machine of "may this run?", as a table. Who moves along it is transitions.py."""

from django.db import models


class Status(models.TextChoices):
    PROPOSED = "proposed", "Proposed"
    BLOCKED = "blocked", "Blocked by its score"
    PENDING = "pending", "Waits for a decision"
    APPROVED = "approved", "Approved"
    EXECUTING = "executing", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Definitely not done"
    UNKNOWN = "unknown", "Cut off, outcome unknown"
    REJECTED = "rejected", "Rejected"
    EXPIRED = "expired", "Expired"
    CANCELLED = "cancelled", "Cancelled"
    REVOKED = "revoked", "Revoked"


MOVES: dict[Status, frozenset[Status]] = {
    Status.PROPOSED: frozenset({Status.BLOCKED, Status.PENDING, Status.APPROVED}),
    Status.PENDING: frozenset({Status.APPROVED, Status.REJECTED, Status.EXPIRED, Status.CANCELLED}),
    Status.APPROVED: frozenset({Status.EXECUTING, Status.EXPIRED, Status.REVOKED}),
    Status.EXECUTING: frozenset({Status.DONE, Status.FAILED, Status.UNKNOWN}),
    Status.UNKNOWN: frozenset({Status.DONE, Status.FAILED}),
}
TERMINAL = frozenset(Status) - frozenset(MOVES)
# What was burnt: its one run has begun, whatever came of it.
BURNT = frozenset({Status.EXECUTING, Status.DONE, Status.FAILED, Status.UNKNOWN})
OPEN = frozenset({Status.PENDING, Status.APPROVED})
