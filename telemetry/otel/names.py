"""The one map between our columns and OpenTelemetry's names, both ways.

The conventions for MCP and generative AI are still in development: a change of theirs is a change here and of VERSION,
which every batch that we send carries as the version of its scope.
Source: OpenTelemetry semantic conventions, "Semantic conventions for generative AI" and "for Model Context Protocol".
"""

VERSION = "1"
SCOPE = "mcp_observatory"
# Under this name we are a service among others at a collector; another installation would refuse OWN_SERVICE.
EXPORTED_SERVICE = "mcp-observatory"
# What a reporter without service.name is called. Source: OpenTelemetry resource conventions.
UNNAMED_SERVICE = "unknown_service"

SERVICE = "service.name"
OPERATION, EXECUTE_TOOL = "gen_ai.operation.name", "execute_tool"
METHOD, TOOLS_CALL = "mcp.method.name", "tools/call"
ERROR_TYPE, OTHER_ERROR = "error.type", "_OTHER"
KIND = "mcp_observatory.kind"
MODEL_OPERATIONS = frozenset(
    {"chat", "text_completion", "generate_content", "embeddings", "completion", "responses", "image_generation"}
)

# Column: the names under which it is looked for, the first that is there; the first of all is the one we send.
COLUMNS: dict[str, tuple[str, ...]] = {
    "provider": ("gen_ai.provider.name", "gen_ai.system"),
    "model": ("gen_ai.request.model", "gen_ai.response.model"),
    "tool_name": ("gen_ai.tool.name",),
    "prompt_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "completion_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "session_id": ("gen_ai.conversation.id", "session.id"),
    "error_type": (ERROR_TYPE,),
    **{
        column: (f"mcp_observatory.{column}",)
        for column in (
            "token_source",
            "cost_usd",
            "retries",
            "fallback_used",
            "confidence",
            "confidence_gate_blocked",
            "prompt_diff_score",
            "shadow_agreement",
            "shadow_disagreement_score",
            "deterministic_fallback",
            "high_risk_path",
            "golden_passed",
        )
    },
}
# What only this installation knows of a call. It is sent; who receives it may keep it, as what was reported.
OWN_COLUMNS = (
    "decision",
    "reason",
    "stage",
    "policy",
    "policy_revision",
    "rule",
    "agent",
    "agent_key",
    "door",
    "cost_source",
)
# Kept beside the columns, of whoever reports: labels and numbers. Names under which content, addresses with queries, or
# what opens a session may stand are not in it.
KEPT_ATTRIBUTES: frozenset[str] = frozenset(
    {
        METHOD,
        OPERATION,
        ERROR_TYPE,
        KIND,
        "mcp.protocol.version",
        "mcp.prompt.name",
        "gen_ai.prompt.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.response.id",
        "gen_ai.output.type",
        "gen_ai.request.max_tokens",
        "gen_ai.request.temperature",
        "gen_ai.request.top_p",
        "gen_ai.request.seed",
        "gen_ai.request.choice.count",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.tool.type",
        "gen_ai.tool.call.id",
        "gen_ai.agent.name",
        "gen_ai.agent.id",
        "jsonrpc.request.id",
        "jsonrpc.protocol.version",
        "rpc.response.status_code",
        "http.request.method",
        "http.response.status_code",
        "server.address",
        "server.port",
        "network.transport",
        "network.protocol.name",
        "network.protocol.version",
        "deployment.environment.name",
        "service.namespace",
        "service.version",
        *(f"mcp_observatory.{column}" for column in OWN_COLUMNS),
    }
)
# What is looked at of a span's attributes at all; the rest is not even read.
READ_ATTRIBUTES: frozenset[str] = KEPT_ATTRIBUTES.union(*COLUMNS.values())
# Of a resource: its service and what says which of several it is.
READ_RESOURCE: frozenset[str] = frozenset(
    {SERVICE, "service.namespace", "service.version", "deployment.environment.name"}
)
