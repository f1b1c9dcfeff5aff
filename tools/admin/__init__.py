"""One file a model; Django's autodiscovery imports this package."""

from tools.admin import agent_keys, agents, idempotency, kill_switches, policies, rules, tools

__all__ = ("agent_keys", "agents", "idempotency", "kill_switches", "policies", "rules", "tools")
