"""What a connection to an upstream answers, and the three ways in which it does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Offer:
    """What an upstream offers. `tools` are MCP Tool objects as they stand on the wire (camelCase), unchecked."""

    tools: Sequence[Mapping[str, Any]]
    protocol_version: str
    server_name: str
    server_version: str


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """MCP's CallToolResult. `content` are its blocks as on the wire; `structured` is None where it has none."""

    content: Sequence[Mapping[str, Any]]
    structured: Mapping[str, Any] | None
    is_error: bool


class Unreachable(Exception):
    """The upstream was not asked: nothing ran. The text is ours, safe to show."""


class Refused(Exception):
    """The upstream answered a protocol error: it has no such tool or did not take the request. Nothing ran.

    The text is the upstream's: not trusted, bounded to 500 characters.
    """


class OutcomeUnknown(Exception):
    """It was asked and there is no answer: whether it ran is not known. `why` is timeout, broken, cancelled or invalid
    (an answer that can't be read or is too large)."""

    def __init__(self, why: str, detail: str) -> None:
        super().__init__(detail)
        self.why = why
