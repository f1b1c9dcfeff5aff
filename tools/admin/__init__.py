"""One file a model; Django's autodiscovery imports this package."""

from tools.admin import (
    access_subjects,
    agent_keys,
    agents,
    decision_words,
    idempotency,
    kill_switches,
    policies,
    rules,
    tools,
    upstream_tools,
    upstreams,
)

__all__ = (
    "access_subjects",
    "agent_keys",
    "agents",
    "decision_words",
    "idempotency",
    "kill_switches",
    "policies",
    "rules",
    "tools",
    "upstream_tools",
    "upstreams",
)
