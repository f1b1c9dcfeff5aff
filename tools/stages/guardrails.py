"""What detectors say of what goes into a tool and of what comes out of it."""

from dataclasses import replace

from telemetry.canonical import NotCanonical, canonical_bytes
from telemetry.connections import release_connection
from telemetry.guardrails import INPUT, NOTHING_KNOWN, OUTPUT, PREFLIGHT, Known, Screen, digest_of, sentence, text_of
from telemetry.sessions import known_signals
from tools.contract import Execution, Pass, Stage, Stop, ToolCall, deny
from tools.guardrail_screens import description_of, of_descriptions, screen_for
from tools.output_paths import mask_paths

WITHHELD = "output_withheld"


class InputGuardrails(Stage):
    """No violation that denies is in the arguments, in what was said beside them, or in the tool's own description."""

    name = "input_guardrails"

    def check(self, call: ToolCall) -> Pass | Stop:
        if call.permit is not None:
            return Pass(call, "read when the call was made")
        screen = screen_for(call)
        if screen is None or not screen.guardrails.is_on:
            return Pass(call, "off")
        inputs = _inputs(call, screen)
        known = _known(call, screen, [text for text, _, _ in inputs])
        call.signals.extend(s for text, stage, reader in inputs for s in reader.read(text, stage, known))
        found = sum(signal.violated for signal in call.signals)
        if any(signal.stops for signal in call.signals):
            return deny("guardrail_input", f"{sentence(call.signals)}.", call, violations=_violations(call))
        return Pass(call, f"{screen.guardrails.mode}: {found} violations in {len(call.signals)} signals")

    def explain(self, call: ToolCall) -> Pass | Stop:
        """Says how strict it would be; reading is left to the call, for detectors elsewhere are not asked in vain."""
        screen = screen_for(call)
        return Pass(call, f"{screen.guardrails.mode}, not read" if screen else "off")


def _inputs(call: ToolCall, screen: Screen) -> list[tuple[str, str, Screen]]:
    """Each content with its stage and who reads it."""
    found = []
    if call.in_session.session is not None:
        if call.tool is not None:
            found.append((description_of(call.tool), PREFLIGHT, of_descriptions(screen)))
        if call.in_session.said is not None:
            found.append((call.in_session.said.input_text, INPUT, screen))
    if call.intent is not None:
        found.append(("\n".join((call.intent.prompt, *(call.intent.candidate_outputs or ()))), INPUT, screen))
    if call.tool is not None:
        found.append((text_of(call.arguments), INPUT, screen))
    return [each for each in found if each[0]]


def _known(call: ToolCall, screen: Screen, texts: list[str]) -> Known:
    """What was said of the same contents before, in the same session only."""
    session = call.in_session.session
    known = known_signals(session, map(digest_of, texts)) if session is not None and texts else NOTHING_KNOWN
    if any(detector.is_remote for detector in screen.detectors):
        # Nothing is held while somebody else thinks.
        release_connection()
    return known


def _violations(call: ToolCall) -> list[dict[str, object]]:
    return [signal.as_json() for signal in call.signals if signal.violated]


def screen_output(call: ToolCall, execution: Execution) -> Execution:
    """The output as it may leave: what the decision redacts is masked, and what a guardrail refuses is withheld.

    Never denies: the effect has happened, and is settled as it is.
    """
    try:
        canonical_bytes(execution.output)
    except NotCanonical as problem:
        # The tool's own values (a huge integer, a NaN) can't travel as JSON.
        return Execution("tool_output_invalid", execution.ran, detail=problem.detail)
    if call.decision is not None and call.decision.redact and isinstance(execution.output, dict):
        output = mask_paths(execution.output, call.decision.redact)
        execution = Execution(execution.code, execution.ran, output, execution.detail)
    return _withheld(call, execution) or execution


def screen_replay(stop: Stop) -> Stop:
    """The stored answer as it may leave to this caller now: the first was read less strictly, or not at all."""
    assert stop.call
    body = stop.facts.get("body")
    found = _refused(stop.call, text_of(body if isinstance(body, dict) else {}), stop.detail)
    if found is None:
        return stop
    return replace(stop, code=WITHHELD, detail=found, facts={"executed": True})


def _withheld(call: ToolCall, execution: Execution) -> Execution | None:
    """What stands in the place of an output, or of a tool's words on its failure, that a guardrail refuses."""
    why = _refused(call, text_of(execution.output), execution.detail)
    return Execution(WITHHELD, execution.ran, detail=why) if why is not None else None


def _refused(call: ToolCall, *texts: str) -> str | None:
    """Why these words of a tool may not leave; None where they may."""
    screen = screen_for(call)
    text = "\n".join(part for part in texts if part)
    if screen is None or not text:
        return None
    found = screen.read(text, OUTPUT, _known(call, screen, [text]))
    call.signals.extend(found)
    return f"The tool was called; {sentence(found)}." if any(signal.stops for signal in found) else None
