"""What a harness is asked to do: one step, checked before anything of it happens."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from mcp_observatory.guards.session_policy import channel_of
from mcp_observatory.harness.readings import text_in
from mcp_observatory.usage import MOST_TOKENS

_SESSION_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


@dataclass(frozen=True, slots=True)
class Asked:
    """A step as it was asked for. `args` are a copy: what is checked is what runs, whatever the caller does to his."""

    role: str
    channel: str
    text: str
    tool: str | None
    args: dict[str, Any] | None
    tokens_in: int | None = None
    tokens_out: int | None = None
    idempotency_key: str | None = None

    @classmethod
    def of(
        cls,
        role: str,
        text: str,
        tool: str | None,
        args: Mapping[str, Any] | None,
        tokens_in: int | None,
        tokens_out: int | None,
    ) -> Self:
        """Raises ValueError or TypeError for what can't be a step."""
        channel = channel_of(role, tool is not None)
        if not isinstance(text, str):
            raise TypeError("input_text is text")
        if tool is None and args is not None:
            raise ValueError("tool_args are of a tool: name it")
        if tool is not None and role == "user":
            raise ValueError("a user calls no tools: role is assistant or tool")
        if tool is not None and (not isinstance(tool, str) or not tool):
            raise ValueError("tool_name is text, and not empty")
        if args is not None and not isinstance(args, Mapping):
            raise TypeError("tool_args are a mapping of names to values")
        for tokens in (tokens_in, tokens_out):
            if tokens is not None and (isinstance(tokens, bool) or not 0 <= tokens <= MOST_TOKENS):
                raise ValueError(f"tokens are 0 to {MOST_TOKENS}")
        copied = None if tool is None else json.loads(json.dumps(dict(args or {}), allow_nan=False))
        return cls(role, channel, text, tool, copied, tokens_in, tokens_out)

    @property
    def content(self) -> dict[str, Any]:
        """What of it is kept, under the names that a step has for it."""
        return {"input_text": self.text, "tool_args": self.args}

    @property
    def texts(self) -> list[str]:
        """What is looked at, each by itself."""
        return [self.text] if self.args is None else [self.text, text_in(self.args)]


def checked_session_id(session_id: str) -> str:
    if not isinstance(session_id, str) or not _SESSION_ID.fullmatch(session_id):
        raise ValueError("session_id is 1 to 64 of letters, digits and _ . : -")
    return session_id
