"""Answers what would have happened. Nothing runs."""

from tools.contract import Execution, Ran, ToolCall


def execute(call: ToolCall) -> Execution:
    would = {"call": call.tool_name, "arguments": dict(call.arguments)}
    return Execution("dry_run", Ran.NO, output={"dry_run": True, "would": would})
