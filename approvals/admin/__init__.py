"""What waits for people, and what became of it."""

from approvals.admin import pending_actions

__all__ = ("pending_actions",)
