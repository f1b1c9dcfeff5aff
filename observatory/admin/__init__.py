"""The part of admin that needs the whole house: people, and pages of our own."""

from observatory.admin import alerts_over_time, may_it, people, try_guardrails, what_happened

__all__ = ("alerts_over_time", "may_it", "people", "try_guardrails", "what_happened")
