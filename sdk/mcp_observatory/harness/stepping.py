"""How a step begins and what stops it: the only writer of a local step's decision."""

from collections.abc import Sequence

from mcp_observatory.guards.redaction import redact, redact_text
from mcp_observatory.guards.session_policy import dry_run_text
from mcp_observatory.harness.asking import Asked
from mcp_observatory.harness.readings import Output, written
from mcp_observatory.harness.records import LONGEST_TEXT, Channel, MCPStep, SignalResult, StepDecision
from mcp_observatory.harness.screening import sentence
from mcp_observatory.tokens import estimate

ALLOWED = "allowed"


def begun(asked: Asked, number: int = 0) -> MCPStep:
    """The step before anything of it happened: masked, and counted as far as is known. One beyond the limit has no
    number.
    """
    kept = redact(asked.content, limit=LONGEST_TEXT)
    was_counted = asked.tokens_in is not None or asked.tokens_out is not None
    return MCPStep(
        step_id=f"step_{number}" if number else "",
        number=number,
        role=asked.role,
        channel=Channel(asked.channel),
        input_text=kept.value["input_text"],
        selected_tool=asked.tool,
        tool_args=kept.value["tool_args"],
        masked_paths=list(kept.masked_paths),
        tokens_in=estimate("".join(asked.texts)) if asked.tokens_in is None else asked.tokens_in,
        tokens_out=asked.tokens_out or 0,
        token_source="reported" if was_counted else "estimate",
    )


def deny(step: MCPStep, reason: str, why: str) -> None:
    step.decision, step.reason, step.error = StepDecision.DENIED_POLICY, reason, why


def deny_schema(step: MCPStep, why: str) -> None:
    step.decision, step.reason, step.error = StepDecision.DENIED_SCHEMA, "denied_schema", redact_text(why, LONGEST_TEXT)


def fail(step: MCPStep, reason: str, why: str) -> None:
    step.decision, step.reason, step.error = StepDecision.ERROR, reason, redact_text(why, LONGEST_TEXT)


def stop_by(step: MCPStep, signals: Sequence[SignalResult], reason: str) -> bool:
    """The signals are the step's; and whether one of them stopped it."""
    step.guardrail_signals += signals
    reused = [signal.fingerprint for signal in step.guardrail_signals if signal.reused]
    step.reused_fingerprints = list(dict.fromkeys(reused))
    why = sentence(signals)
    if why:
        deny(step, reason, why)
    return bool(why)


def would_call(step: MCPStep, asked: Asked) -> None:
    """A dry run: what would have been called stands in the place of what came of it."""
    step.decision, step.reason, step.dry_run = StepDecision.DRY_RUN, "dry_run", True
    step.output_text = dry_run_text(asked.tool or "")
    _count_output(step, asked, step.output_text)


def came_back(step: MCPStep, asked: Asked, answer: object, output: Output) -> None:
    """The tool's answer is the caller's; of it the beginning is kept, masked."""
    step.output = answer
    _count_output(step, asked, output.text)
    if output.is_error:
        fail(step, "tool_error", output.text or "The tool says that it failed.")
        return
    step.reason = ALLOWED
    kept = redact({"output_text": output.text if output.data is None else output.data}, limit=LONGEST_TEXT)
    step.masked_paths += kept.masked_paths
    shown = kept.value["output_text"]
    step.output_text = shown if isinstance(shown, str) else redact_text(written(shown), LONGEST_TEXT)


def _count_output(step: MCPStep, asked: Asked, text: str) -> None:
    if asked.tokens_out is None:
        step.tokens_out = estimate(text)


def say(step: MCPStep) -> None:
    """Nothing forbids what was said; it calls no tool."""
    step.reason = ALLOWED
