"""One file a model; Django's autodiscovery imports this package."""

from tools.admin import agents, idempotency, kill_switches, policies, rules, tools

__all__ = ("agents", "idempotency", "kill_switches", "policies", "rules", "tools")
