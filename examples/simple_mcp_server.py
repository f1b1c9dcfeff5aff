"""An MCP server whose tool calls are reported: three lines of it are about that.

PYTHONPATH=sdk .venv/bin/python examples/simple_mcp_server.py         # in a terminal: calls itself, shows the figures

An MCP host starts it without a terminal, and speaks MCP with it over stdin and stdout. The spans go to the PostgreSQL
of DATABASE_URL (its table: python -m mcp_observatory.schema), else to the observatory at OBSERVATORY_URL by
OBSERVATORY_API_KEY.
"""

import asyncio
import json
import os
import sys
from importlib import import_module

from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_observatory import instrument, instrument_server
from mcp_observatory.exporters import Exporter, HttpExporter

PRICES = {"coffee": 3.5, "tea": 2.0}
server: MCPServer[object] = MCPServer("simple-mcp-server", log_level="WARNING")


def exporter() -> Exporter | None:
    if dsn := os.environ.get("DATABASE_URL"):
        # Needs the extra `postgres`, so only where it is wanted.
        wanted: Exporter = import_module("mcp_observatory.exporters.postgres").PostgresExporter(dsn)
        return wanted
    if url := os.environ.get("OBSERVATORY_URL"):
        return HttpExporter(url, os.environ["OBSERVATORY_API_KEY"])
    return None


interceptor = instrument(service_name="simple-mcp-server", exporter=exporter())
instrument_server(server, interceptor)


@server.tool()
def price(drink: str) -> float:
    """What a drink costs."""
    if drink not in PRICES:
        raise ToolError("There is no such drink.")
    return PRICES[drink]


@server.tool()
async def recommend(mood: str) -> str:
    """A drink for a mood, as a model sees it."""
    return await interceptor.intercept_model_call(
        "gpt-4o", f"Which drink for somebody {mood}?", call=lambda: model(mood), confidence=0.9
    )


async def model(mood: str) -> str:
    """Stands in for a model's client."""
    return "tea" if mood == "tired" else "coffee"


async def call_itself() -> None:
    async with Client(server) as client:
        await client.call_tool("price", {"drink": "tea"})
        await client.call_tool("price", {"drink": "gold"})
        await client.call_tool("recommend", {"mood": "tired"})
    sys.stdout.write(json.dumps(interceptor.get_metrics_snapshot(), indent=2) + "\n")
    sys.stdout.write(f"alerts: {interceptor.get_active_alerts()}\n")


if __name__ == "__main__":
    if sys.stdin.isatty():
        asyncio.run(call_itself())
    else:
        server.run()
