from approvals.models.pending_action import PendingAction
from approvals.models.vote import Vote

__all__ = ("PendingAction", "Vote")
