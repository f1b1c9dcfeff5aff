"""The answer to a tool call."""

from collections.abc import Iterator, Mapping
from typing import Any


class ToolResult(Mapping[str, Any]):
    """The tool's own output object, readable as a mapping, with what the call met."""

    __slots__ = ("_replayed", "body", "trace_id")

    def __init__(self, body: Mapping[str, Any], *, trace_id: str = "", replayed: bool = False) -> None:
        self.body = dict(body)
        self.trace_id = trace_id
        self._replayed = replayed

    def __getitem__(self, name: str) -> Any:
        return self.body[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.body)

    def __len__(self) -> int:
        return len(self.body)

    def __repr__(self) -> str:
        return f"ToolResult({self.body!r}, trace_id={self.trace_id!r}, replayed={self.replayed})"

    @property
    def replayed(self) -> bool:
        """This is the stored answer of an earlier call with the same idempotency key."""
        return self._replayed or self.body.get("idempotent_replay") is True

    @property
    def held(self) -> bool:
        """Nothing ran yet: the call waits for a person."""
        return self.body.get("requires_confirmation") is True

    @property
    def pending_action_id(self) -> str | None:
        """What to wait for, where the call is held."""
        found = self.body.get("pending_action_id")
        return found if isinstance(found, str) else None

    @property
    def dry_run(self) -> bool:
        """Nothing ran: the body says what would have happened."""
        return self.body.get("dry_run") is True
