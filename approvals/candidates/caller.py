"""The outputs that the caller sent with its proposal."""

from tools.contract import ToolCall


def outputs(call: ToolCall) -> tuple[str, str] | None:
    return call.intent.candidate_outputs if call.intent else None
