from tools.contract import Pass, Stage, Stop, ToolCall, deny
from tools.schema_validator import SchemaProblem


class SchemaGuard(Stage):
    """The arguments fit the schema of the tool's current version."""

    name = "schema_guard"

    def check(self, call: ToolCall) -> Pass | Stop:
        assert call.tool
        try:
            problems = call.tool.validator.problems(dict(call.arguments))
        except SchemaProblem as problem:
            return deny("part_unavailable", f"The tool's schema can't be used: {problem}", call)
        if problems:
            first = problems[0]
            detail = f"{first.path or 'the arguments'}: {first.message}"
            return deny("denied_schema", detail, call, errors=[p.as_json() for p in problems])
        return Pass(call)
