"""A world clock as an MCP server over stdio: the demonstration's upstream, a program that knows nothing of this one.

Needs no more than the package `mcp` and the time zones that come with the system.
"""

import asyncio
import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import mcp_types as types
from mcp.server import Server
from mcp.server.stdio import stdio_server

ZONE = {"type": "string", "description": "A time zone of the IANA database, e.g. Europe/Stockholm."}
HINTS = {"readOnlyHint": True, "openWorldHint": False}
TIME = {
    "type": "object",
    "properties": {"timezone": {"type": "string"}, "time": {"type": "string", "description": "ISO 8601."}},
    "required": ["timezone", "time"],
}
TOOLS = [
    {
        "name": "now",
        "title": "What time is it?",
        "description": "Tells the present time in a time zone.",
        "inputSchema": {"type": "object", "properties": {"timezone": ZONE}, "required": ["timezone"]},
        "outputSchema": TIME,
        "annotations": HINTS,
    },
    {
        "name": "convert",
        "title": "What time is that there?",
        "description": "Tells what a time in one time zone is in another.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "time": {"type": "string", "description": "ISO 8601 without an offset, e.g. 2026-11-21T20:30."},
                "from": ZONE,
                "to": ZONE,
            },
            "required": ["time", "from", "to"],
        },
        "outputSchema": TIME,
        "annotations": HINTS,
    },
]


def now(timezone: str) -> dict[str, str]:
    return {"timezone": timezone, "time": dt.datetime.now(ZoneInfo(timezone)).isoformat(timespec="seconds")}


def convert(time: str, there: str, here: str) -> dict[str, str]:
    """Source: PEP 615. `time` is on the clocks of `there`; the answer on those of `here`."""
    moment = dt.datetime.fromisoformat(time).replace(tzinfo=ZoneInfo(there))
    return {"timezone": here, "time": moment.astimezone(ZoneInfo(here)).isoformat(timespec="seconds")}


async def _list(context: Any, params: Any) -> Any:
    return {"tools": TOOLS, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}


async def _call(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    given = params.arguments or {}
    try:
        answer = now(given["timezone"]) if params.name == "now" else convert(given["time"], given["from"], given["to"])
    except (KeyError, ValueError, TypeError, ZoneInfoNotFoundError) as error:
        problem = f"No such time or time zone: {error}"
        return types.CallToolResult(content=[types.TextContent(text=problem)], is_error=True)
    return types.CallToolResult(content=[types.TextContent(text=answer["time"])], structured_content=answer)


async def main() -> None:
    server = Server("world-clock", version="1.0", on_list_tools=_list, on_call_tool=_call)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
