"""A run of an agent: started, taken step by step, closed. What each step may do is decided before it is done."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, Protocol

from mcp_observatory.harness.asking import Asked, checked_session_id
from mcp_observatory.harness.clients import AnyMCPClient, Configuration
from mcp_observatory.harness.configuration import GuardrailsConfig, PolicyConfig
from mcp_observatory.harness.records import MCPSession, MCPStep
from mcp_observatory.harness.remote import RemoteSessions
from mcp_observatory.harness.reporting import Reporter
from mcp_observatory.tool_client import ToolClient


class Sessions(Protocol):
    """Where sessions live: here, or on a server."""

    async def start(self, session_id: str, preflight_texts: Iterable[str]) -> MCPSession: ...

    async def step(self, session: MCPSession, asked: Asked) -> MCPStep: ...

    async def close(self, session: MCPSession) -> None: ...


class MCPHarness:
    """Sessions of one configuration, any number at a time, in one event loop.

    With a ToolClient they live on its observatory, which decides and runs each step. With any other MCP client, which
    has async connect, list_tools, call_tool and close, the checks run here, by the server's own code; then `server`,
    a ToolClient or (url, key), is told of every step.

    Units: `timeout_s` bounds each answer of the MCP client; a ToolClient has its own.
    """

    def __init__(  # noqa: PLR0913 (the seed's four, in its order, and four by name)
        self,
        client: AnyMCPClient | ToolClient,
        model: str,
        policy_config: PolicyConfig | None = None,
        guardrails_config: GuardrailsConfig | Mapping[str, Any] | None = None,
        *,
        server: ToolClient | tuple[str, str] | None = None,
        provider: str | None = None,
        upstream: str | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """Raises ValueError or TypeError for what can't be, and ImportError without the extra that the checks need."""
        if not isinstance(model, str) or not model:
            raise ValueError("model is text, and not empty")
        if timeout_s <= 0:
            raise ValueError("timeout_s is above 0")
        if policy_config is not None and not isinstance(policy_config, PolicyConfig):
            raise TypeError("policy_config is a PolicyConfig")
        if isinstance(client, ToolClient):
            if server is not None:
                raise ValueError("sessions of a ToolClient live on its server: there is nothing to tell another one")
            opening = _opening(model, provider, upstream, policy_config, guardrails_config)
            self._sessions: Sessions = RemoteSessions(client, opening)
            return
        if not isinstance(client, AnyMCPClient):
            raise TypeError("client is a ToolClient, or has connect, list_tools, call_tool and close")
        if upstream is not None:
            raise ValueError("upstream is for sessions that live on a server")
        configuration = Configuration(
            model,
            provider,
            (policy_config or PolicyConfig()).as_policy(),
            GuardrailsConfig.read(guardrails_config),
        )
        reporter = None if server is None else Reporter(_tool_client(server))
        # Only now: sessions on a server need no extra.
        local = import_module("mcp_observatory.harness.local")
        self._sessions = local.LocalSessions(client, configuration, reporter, timeout_s=timeout_s)

    async def start_session(self, session_id: str | None = None, *, preflight_texts: Iterable[str] = ()) -> MCPSession:
        """The session, with the tools that it found; not open where its preflight was denied.

        `preflight_texts` are what the run begins with, a prompt for instance: looked at now, and not again as the same
        text in a step.
        """
        name = uuid.uuid4().hex if session_id is None else checked_session_id(session_id)
        return await self._sessions.start(name, preflight_texts)

    async def execute_step(  # noqa: PLR0913 (the seed's five, in its order, and what a provider counted)
        self,
        session: MCPSession,
        role: str,
        input_text: str,
        tool_name: str | None = None,
        tool_args: Mapping[str, Any] | None = None,
        *,
        tokens_in: int | None = None,
        tokens_out: int | None = None,
        idempotency_key: str | None = None,
    ) -> MCPStep:
        """The step, decided: what was denied or failed is an answer too, in `decision`, `reason` and `error`.

        Raises ObservatoryError where there is no step: the session has ended, the server can't be reached. With an
        idempotency key, which sessions on a server take, a step whose answer was lost is asked for again.
        """
        asked = Asked.of(role, input_text, tool_name, tool_args, tokens_in, tokens_out)
        return await self._sessions.step(session, replace(asked, idempotency_key=idempotency_key))

    async def close_session(self, session: MCPSession) -> None:
        """The session is closed, once its running steps have ended; with the last one the client is closed."""
        await self._sessions.close(session)


def _tool_client(server: ToolClient | tuple[str, str]) -> ToolClient:
    return server if isinstance(server, ToolClient) else ToolClient(*server)


def _opening(
    model: str,
    provider: str | None,
    upstream: str | None,
    policy: PolicyConfig | None,
    guardrails: GuardrailsConfig | Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What POST /sessions gets: what was not given is the server's to say."""
    found = {
        "model": model,
        "provider": provider,
        "upstream": upstream,
        "policy": None if policy is None else policy.as_policy().as_json(),
        "guardrails": None if guardrails is None else GuardrailsConfig.read(guardrails).as_json(),
    }
    return {name: value for name, value in found.items() if value is not None}
