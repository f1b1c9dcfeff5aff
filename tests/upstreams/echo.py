"""An MCP server over streamable HTTP that answers what it is sent. Run: python -m tests.upstreams.echo <port>."""

import sys
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server import Server

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}
LIST = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
TOOL = {"name": "echo", "description": "Answers what it is sent.", "inputSchema": SCHEMA, "outputSchema": SCHEMA}


async def _list(ctx: Any, params: Any) -> Any:
    return LIST | {"tools": [TOOL | {"annotations": {"readOnlyHint": True}}]}


async def _call(ctx: Any, params: Any) -> types.CallToolResult:
    text = str((params.arguments or {}).get("text", ""))
    return types.CallToolResult(content=[types.TextContent(text=text)], structured_content={"text": text})


if __name__ == "__main__":
    server = Server("echo", version="1.0", on_list_tools=_list, on_call_tool=_call)
    application = server.streamable_http_app(json_response=True, stateless_http=True)
    uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
