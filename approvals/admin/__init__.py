"""What waits for people, what was proposed and how it scored, and what became of it."""

from approvals.admin import baselines, commits, integrity_settings, pending_actions, proposals, signing_keys

__all__ = ("baselines", "commits", "integrity_settings", "pending_actions", "proposals", "signing_keys")
