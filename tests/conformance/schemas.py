"""A tool whose schema uses what JSON Schema 2020-12 has. It is listed, and never called."""

from telemetry.recorder import SYSTEM
from tools.actions.tools import declare, save_tool
from tools.models import Tool
from tools.registry import Declaration

NAME = "json_schema_2020_12_tool"
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


def declare_schema_tool() -> None:
    tool = save_tool(Tool(name=NAME, executor="http", network="yes"), SYSTEM)
    said = "Tool with JSON Schema 2020-12 features"
    declare(tool, Declaration(NAME, NAME, said, SCHEMA, None, {}, {}), SYSTEM)
