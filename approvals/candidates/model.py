"""Two completions of the same prompt from the endpoint of OBSERVATORY_MODEL_URL.

Source: OpenAI's API, "Create chat completion", as other servers offer it too.
"""

import json
import logging
import time
from typing import Any

from django.conf import settings

from telemetry import egress
from telemetry.canonical import NotCanonical, parse
from telemetry.connections import release_connection
from telemetry.models import Span
from tools.contract import Stop, ToolCall, deny

log = logging.getLogger(__name__)

TEMPERATURES = (0.0, 0.9)
MOST_BYTES = 256 * 1024
INSTRUCTION = (
    "You act for an agent that calls tools. Say in one or two sentences which single action you would take for the "
    "user's request, with every name, amount and identifier. Do not ask back and do not add explanations."
)
_MOST_TOKENS = 512


def is_configured() -> bool:
    return bool(settings.MODEL_URL)


def outputs(call: ToolCall) -> tuple[str, str] | Stop | None:
    """Both completions within MODEL_TIMEOUT_S. None, and nothing is asked, where the call has no prompt.

    Stops: model_unavailable, with nothing of the endpoint's in its text; the log has the cause.
    """
    prompt = call.intent.prompt if call.intent else ""
    if not is_configured():
        return deny("model_unavailable", "No model endpoint is configured.", call)
    if not prompt.strip():
        return None
    release_connection()
    deadline = time.monotonic() + settings.MODEL_TIMEOUT_S
    try:
        first, second = (_completion(call, prompt, temperature, deadline) for temperature in TEMPERATURES)
    except _Unavailable as problem:
        log.warning("model endpoint: %s Trace %s", problem.cause, call.trace.trace_id)
        return deny("model_unavailable", str(problem), call)
    return first, second


class _Unavailable(Exception):
    """Its text is for the agent; `cause` may name the endpoint's host."""

    def __init__(self, text: str, cause: str = "") -> None:
        super().__init__(text)
        self.cause = cause or text


def _completion(call: ToolCall, prompt: str, temperature: float, deadline: float) -> str:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise _Unavailable("The model endpoint did not answer in time.")
    with call.children.sent(call.trace, Span.Kind.MODEL_CALL, f"chat {settings.MODEL_NAME}") as span:
        span.model, span.provider = settings.MODEL_NAME, settings.MODEL_PROVIDER
        try:
            response = egress.request(
                "POST",
                settings.MODEL_URL.rstrip("/") + "/chat/completions",
                headers=_headers() | {"traceparent": span.trace.traceparent},
                body=_body(prompt, temperature),
                timeout_s=left_s,
                max_bytes=MOST_BYTES,
            )
        except egress.EgressError as error:
            span.error_type = str(error.kind)
            is_late = error.kind == egress.Kind.TIMEOUT
            text = "did not answer in time" if is_late else "gave no usable answer"
            raise _Unavailable(f"The model endpoint {text}.", f"{error.kind}: {error.detail}") from None
        span.attributes["http.response.status_code"] = response.status
        if response.status != 200:
            span.error_type = str(response.status)
            raise _Unavailable(f"The model endpoint answered status {response.status}.")
        answer = _read(response.body)
        text = _content(answer)
        span.count_tokens(answer, INSTRUCTION + prompt, text)
        return text


def _headers() -> dict[str, str]:
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    return headers | {"Authorization": f"Bearer {settings.MODEL_KEY}"} if settings.MODEL_KEY else headers


def _body(prompt: str, temperature: float) -> bytes:
    messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": prompt}]
    asked = {
        "model": settings.MODEL_NAME,
        "messages": messages,
        "temperature": temperature,
        "max_tokens": _MOST_TOKENS,
        "stream": False,
    }
    return json.dumps(asked).encode()


def _read(body: bytes) -> Any:
    try:
        return parse(body, max_bytes=MOST_BYTES)
    except NotCanonical as problem:
        raise _Unavailable("The model endpoint's answer can't be read.", f"{problem.code}: {problem.detail}") from None


def _content(answer: Any) -> str:
    """The text of the first choice. An answer of another shape, or without a word, is no output."""
    match answer:
        case {"choices": [{"message": {"content": str(content)}}, *_]} if content.strip():
            return content
    raise _Unavailable("The model endpoint's answer holds no output.", _shape(answer))


def _shape(answer: Any) -> str:
    return f"no text at choices[0].message.content of {type(answer).__name__}"
