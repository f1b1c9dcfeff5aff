"""The schema guard: arguments fit the schema that the tool was listed with. Needs the extra `harness`."""

from collections.abc import Iterable
from typing import Any

from mcp_observatory.harness.records import MCPTool

try:
    from mcp_observatory.guards.schema_validator import SchemaProblem, SchemaValidator
except ImportError as missing:
    raise ImportError('Checks in this process need jsonschema-rs: pip install "mcp-observatory[harness]"') from missing


class Schemas:
    """Those of one listing, each compiled when it is first wanted."""

    def __init__(self, tools: Iterable[MCPTool]) -> None:
        self._schemas = {tool.name: tool.input_schema for tool in tools if tool.input_schema}
        self._compiled: dict[str, SchemaValidator | None] = {}

    def problem(self, tool_name: str, args: Any) -> str:
        """Where the arguments do not fit, never what they are; empty where they do, or the tool has no schema."""
        if tool_name not in self._schemas:
            return ""
        validator = self._validator(tool_name)
        if validator is None:
            return "The tool's own schema can't be used."
        return "; ".join(f"{one.path or '/'}: {one.message}" for one in validator.problems(args))

    def _validator(self, tool_name: str) -> SchemaValidator | None:
        if tool_name not in self._compiled:
            try:
                self._compiled[tool_name] = SchemaValidator(self._schemas[tool_name])
            except SchemaProblem:
                self._compiled[tool_name] = None
        return self._compiled[tool_name]
