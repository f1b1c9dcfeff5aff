"""What a provider says of its answer: the tokens it counted, and the text. In the forms of OpenAI and Anthropic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Above this a figure is a mistake, and the observatory takes none.
MOST_TOKENS = 100_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them. `prompt_tokens` includes what came from or went to a cache."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


def reported_usage(response: Any) -> Usage | None:
    """The usage in a response, or in a usage object itself; None where there is none that can be read.

    Source: OpenAI's chat completions (`prompt_tokens`) and responses (`input_tokens`, cached included), Anthropic's
    messages (`input_tokens`, cached apart).
    """
    if response is None or isinstance(response, str | bytes):
        return None
    told = _field(response, "usage")
    told = response if told is None else told
    prompt = _first_count(told, "prompt_tokens", "input_tokens")
    completion = _first_count(told, "completion_tokens", "output_tokens")
    if prompt is None and completion is None:
        return None
    read, written = _count(told, "cache_read_input_tokens"), _count(told, "cache_creation_input_tokens")
    if read is None and written is None:
        details = _field(told, "prompt_tokens_details") or _field(told, "input_tokens_details")
        return Usage(prompt, completion, cache_read_tokens=_count(details, "cached_tokens") or 0)
    read, written = read or 0, written or 0
    return Usage(None if prompt is None else prompt + read + written, completion, read, written)


def answer_text(response: Any) -> str | None:
    """The text of an answer: itself, or what the model said in the known forms; None where there is no text."""
    if isinstance(response, str):
        return response
    said = _field(response, "output_text")
    if isinstance(said, str):
        return said
    choices = _items(_field(response, "choices"))
    if choices:
        return _joined(_field(_field(choices[0], "message"), "content"))
    return _joined(_field(response, "content"))


def _joined(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    texts = [text for block in _items(content) if isinstance(text := _field(block, "text"), str)]
    return "".join(texts) if texts else None


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _field(value: Any, name: str) -> Any:
    """A key of a mapping or an attribute of anything else; None where it can't be had."""
    if isinstance(value, Mapping):
        return value.get(name)
    try:
        return getattr(value, name, None)
    except Exception:
        # A property of somebody's object; telemetry has no part in its trouble.
        return None


def _first_count(told: Any, *names: str) -> int | None:
    return next((found for name in names if (found := _count(told, name)) is not None), None)


def _count(told: Any, name: str) -> int | None:
    return token_count(_field(told, name))


def token_count(value: Any) -> int | None:
    """The number, where it can be one of tokens."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= MOST_TOKENS else None
