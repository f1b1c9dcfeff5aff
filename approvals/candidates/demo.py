"""The demonstration's generator: made-up outputs, by rules that anybody can read. It is no model and judges nothing.

A plain prompt gives the same words at every temperature. A prompt that shows doubt gives words and numbers that
differ, so that by the default weights its proposal is blocked: maybe, perhaps, roughly, approximately, "about" before
a number, "either" with "or", and two question marks in a row.
"""

import re

from django.conf import settings

from tools.contract import ToolCall

TEMPERATURES = (0.0, 0.9)
_DOUBT = re.compile(r"\b(?:maybe|perhaps|roughly|approximately)\b|\babout\s+[^\w\s]?\d|\?\s*\?", re.IGNORECASE)
_EITHER, _OR = (re.compile(rf"\b{word}\b", re.IGNORECASE) for word in ("either", "or"))


def outputs(call: ToolCall) -> tuple[str, str] | None:
    """Two outputs for the prompt. None outside the demonstration."""
    if not settings.DEMO:
        return None
    prompt = call.intent.prompt if call.intent else ""
    return generate(prompt, TEMPERATURES[0]), generate(prompt, TEMPERATURES[1])


def generate(prompt: str, temperature: float) -> str:
    """What a model might say to the prompt. The same for the same prompt and temperature."""
    wish = " ".join(prompt.split()) or "what the arguments say"
    if not _is_doubtful(wish):
        return f"I will do this: {wish}"
    if temperature < 0.5:
        return f"Taking reading 1 of the request as meant: {wish}"
    return "Unclear: 4 different actions fit these words, so somebody should decide before anything happens."


def _is_doubtful(prompt: str) -> bool:
    return bool(_DOUBT.search(prompt) or (_EITHER.search(prompt) and _OR.search(prompt)))
