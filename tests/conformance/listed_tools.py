"""Tools that are no Python functions: one with a schema that uses what there is, and those of an upstream."""

import sys

from telemetry.recorder import SYSTEM
from tests.conformance import content_server
from tools.actions.tools import declare, save_tool
from tools.actions.upstream_offers import accept, look_at
from tools.actions.upstreams import save_upstream
from tools.models import Tool, Upstream, UpstreamTool
from tools.registry import Declaration
from tools.upstreams.pool import POOL

NAME = "json_schema_2020_12_tool"
COMMANDS = {"content": [sys.executable, content_server.__file__]}
# Source: the suite's scenario json-schema-2020-12.
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def accept_content_tools() -> None:
    """The upstream's tools are accepted under the names that the suite calls, without the prefix others get."""
    upstream = save_upstream(Upstream(name="suite", transport="stdio", command="content"), SYSTEM)
    look_at(upstream)
    POOL.forget(upstream.pk)
    for offered in UpstreamTool.objects.filter(upstream=upstream):
        offered.tool = save_tool(Tool(name=offered.upstream_name, executor=Tool.Executor.MCP), SYSTEM)
        offered.save()
        accept(offered, SYSTEM, seen_digest=offered.digest, despite_findings=True)


def declare_schema_tool() -> None:
    """It is listed, and never called."""
    tool = save_tool(Tool(name=NAME, executor="http", network="yes"), SYSTEM)
    said = "Tool with JSON Schema 2020-12 features"
    declare(tool, Declaration(NAME, NAME, said, SCHEMA, None, {}, {}), SYSTEM)
