"""Runs of agents under checks: on an observatory, or in this process against any MCP server."""

from mcp_observatory.harness.configuration import GuardrailsConfig, PolicyConfig
from mcp_observatory.harness.harness import MCPHarness
from mcp_observatory.harness.mcp_client import MCPClient
from mcp_observatory.harness.records import (
    Channel,
    MCPSession,
    MCPStep,
    MCPTool,
    PreflightResult,
    SignalResult,
    StepDecision,
)

__all__ = [
    "Channel",
    "GuardrailsConfig",
    "MCPClient",
    "MCPHarness",
    "MCPSession",
    "MCPStep",
    "MCPTool",
    "PolicyConfig",
    "PreflightResult",
    "SignalResult",
    "StepDecision",
]
