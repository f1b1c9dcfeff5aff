"""What a harness works with: the client's four calls, and one configuration for all of its sessions."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from mcp_observatory.guards.fingerprints import rules_hash
from mcp_observatory.guards.session_policy import DEFAULT_STEPS, SessionPolicy
from mcp_observatory.harness.configuration import GuardrailsConfig


@runtime_checkable
class AnyMCPClient(Protocol):
    """Any client of an MCP server. The four are async."""

    async def connect(self) -> Any: ...

    async def list_tools(self) -> Any: ...

    async def call_tool(self, name: str, arguments: dict[str, Any], /) -> Any: ...

    async def close(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Configuration:
    """What decides a session's steps, whatever is in them."""

    model: str
    provider: str | None
    policy: SessionPolicy
    guardrails: GuardrailsConfig

    @property
    def rules_hash(self) -> str:
        """The same for the same configuration, on any machine."""
        return rules_hash(
            {
                "model": self.model,
                "provider": self.provider,
                "policy": self.policy.as_json(),
                "guardrails": self.guardrails.as_json(),
            }
        )

    @property
    def limit(self) -> int:
        return self.policy.max_steps or DEFAULT_STEPS

    @property
    def of_screen(self) -> tuple[GuardrailsConfig, str, str]:
        return self.guardrails, self.model, self.rules_hash
