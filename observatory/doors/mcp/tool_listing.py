"""What a key sees, as MCP lists it. One bad entry spoils a client's whole list, so each is made to fit."""

from collections.abc import Mapping
from typing import Any

from observatory.discovery import listing
from observatory.doors.mcp.output_schemas import told
from observatory.doors.mcp.own_tools import own_tools_for
from observatory.tool_search import is_searched
from tools.snapshot import KeyView, Snapshot

NAMESPACE = "org.mcp-observatory/"


def tools_of(key: KeyView, snapshot: Snapshot) -> list[dict[str, Any]]:
    """MCP's Tool objects, by name, as `listing` says; then the door's own. Only these where tools are searched."""
    entries, searching = listing(key, snapshot)["tools"], is_searched(key, snapshot)
    own = own_tools_for(entries, searching=searching)
    return own if searching else [*(_tool(entry) for entry in entries), *own]


def _tool(entry: Mapping[str, Any]) -> dict[str, Any]:
    described = {
        "name": entry["name"],
        "title": entry["title"],
        "description": entry["description"],
        "inputSchema": {"type": "object", **entry["input_schema"]},
        "annotations": {name: value for name, value in entry["annotations"].items() if value is not None},
        "_meta": {NAMESPACE + name: entry[name] for name in ("gate", "risk", "version")},
    }
    schema = told(entry["output_schema"])
    return described | ({"outputSchema": schema} if schema else {})
