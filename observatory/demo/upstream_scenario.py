"""A tool of another MCP server, called through here: over REST, under the same rules, with the same record."""

from mcp_observatory import ToolClient

from observatory.demo.invoking import Say
from observatory.demo.seed_upstream import ACCEPTED, UPSTREAM

TOOL, ZONE = f"{UPSTREAM}.{ACCEPTED}", "Europe/Stockholm"


def run(base_url: str, key: str, say: Say) -> str:
    """The time, as the upstream told it."""
    with ToolClient(base_url, key) as client:
        time = str(client.call(TOOL, {"timezone": ZONE})["time"])
    say("A tool of an upstream MCP server")
    say(f"  {TOOL}: {time} in {ZONE}; its server is a program of its own, spoken to over stdio")
    say(f"  {UPSTREAM}.convert is offered too, and waits in admin until somebody accepts it")
    return time
