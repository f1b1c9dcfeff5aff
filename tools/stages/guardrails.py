"""Where input and output guardrails stand. No detector is installed, so they find nothing; they say so."""

from telemetry.canonical import NotCanonical, canonical_bytes
from tools.contract import Execution, Pass, Stage, Stop, ToolCall
from tools.output_paths import mask_paths


class InputGuardrails(Stage):
    """Nothing that a detector refuses is in the arguments."""

    name = "input_guardrails"

    def check(self, call: ToolCall) -> Pass | Stop:
        return Pass(call, "no detectors")


def screen_output(call: ToolCall, execution: Execution) -> Execution:
    """The output as it may leave: what the decision redacts is masked. Never denies: the effect has happened."""
    try:
        canonical_bytes(execution.output)
    except NotCanonical as problem:
        # The tool's own values (a huge integer, a NaN) can't travel as JSON.
        return Execution("tool_output_invalid", execution.ran, detail=problem.detail)
    if call.decision is None or not call.decision.redact or not isinstance(execution.output, dict):
        return execution
    return Execution(
        execution.code, execution.ran, mask_paths(execution.output, call.decision.redact), execution.detail
    )
