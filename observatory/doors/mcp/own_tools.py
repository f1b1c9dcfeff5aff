"""The tools that this door has of its own, under the reserved prefix. Calls of them are no calls of anybody's tools."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tools.contract import Stop, deny
from tools.reserved_names import RESERVED_PREFIX
from tools.schema_validator import SchemaValidator

LONGEST_WAIT_S = 30
PIECE_BYTES, LONGEST_PIECE_BYTES, SHORTEST_PIECE_BYTES = 16_384, 65_536, 256
FOUND, MOST_FOUND = 5, 20


@dataclass(frozen=True)
class OwnTool:
    name: str
    title: str
    description: str
    properties: Mapping[str, Any]
    required: tuple[str, ...]
    read_only: bool = True

    @cached_property
    def input_schema(self) -> Mapping[str, Any]:
        return {
            "type": "object",
            "properties": self.properties,
            "required": list(self.required),
            "additionalProperties": False,
        }

    @cached_property
    def validator(self) -> SchemaValidator:
        return SchemaValidator(self.input_schema)

    def refuses(self, arguments: Mapping[str, Any]) -> Stop | None:
        """Why the arguments can't be read, as the schema guard says it of other tools."""
        problems = self.validator.problems(dict(arguments))
        if not problems:
            return None
        detail = f"{problems[0].path or 'the arguments'}: {problems[0].message}"
        return deny("denied_schema", detail, errors=[problem.as_json() for problem in problems])

    def as_mcp(self) -> dict[str, Any]:
        hints = {"readOnlyHint": True, "openWorldHint": False} if self.read_only else {}
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": dict(self.input_schema),
            "annotations": hints,
        }


STATUS = OwnTool(
    name=RESERVED_PREFIX + "status",
    title="Where a held call stands",
    description="Tells whether people have decided a call that waits, and its result once it ran.",
    properties={
        "pending_action_id": {"type": "string", "format": "uuid", "description": "As the held call was answered."},
        "wait_s": {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_S, "default": 0},
    },
    required=("pending_action_id",),
)
RESULT = OwnTool(
    name=RESERVED_PREFIX + "result",
    title="More of a result that was cut",
    description="Reads a result that was too long and answered with truncated and a handle, piece by piece: from "
    "offset 0, then from each next_offset until it is null. The pieces joined are one JSON document.",
    properties={
        "handle": {"type": "string", "description": "As the cut result was answered."},
        "offset": {"type": "integer", "minimum": 0, "default": 0, "description": "In bytes."},
        "max_bytes": {
            "type": "integer",
            "minimum": SHORTEST_PIECE_BYTES,
            "maximum": LONGEST_PIECE_BYTES,
            "default": PIECE_BYTES,
        },
    },
    required=("handle",),
)
SEARCH = OwnTool(
    name=RESERVED_PREFIX + "search_tools",
    title="Find tools",
    description="Finds the tools that you may call, by words of what they do; the best first, each with its input "
    f"schema. Call what you find with {RESERVED_PREFIX}call_tool.",
    properties={
        "query": {"type": "string", "description": "A few words, e.g. refund order; empty: the first ones by name."},
        "limit": {"type": "integer", "minimum": 1, "maximum": MOST_FOUND, "default": FOUND},
    },
    required=("query",),
)
CALL = OwnTool(
    name=RESERVED_PREFIX + "call_tool",
    title="Call a tool by its name",
    description=f"Calls a tool that {RESERVED_PREFIX}search_tools found, exactly as if it were listed.",
    properties={
        "name": {"type": "string", "description": "The tool's name."},
        "arguments": {"type": "object", "description": "As its input schema says."},
    },
    required=("name",),
    read_only=False,
)


def own_tools_for(entries: Iterable[Mapping[str, Any]], *, searching: bool) -> list[dict[str, Any]]:
    """Those that can matter to a key that sees these entries."""
    gates = {entry["gate"] for entry in entries}
    listed = [SEARCH, CALL] if searching else []
    if gates & {"approval", "two_phase"}:
        listed.append(STATUS)
    if gates:
        listed.append(RESULT)
    return [tool.as_mcp() for tool in listed]
