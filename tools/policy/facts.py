"""What a rule may look at. Times are UTC; without a session its facts are empty, not missing."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tools.policy.weight import Weight, weigh

MOST_ARGUMENT_BYTES = 32 * 1024
_MOST_CONTEXT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """`network`, and what comes in and goes out, are each "yes", "no" or "undeclared"."""

    name: str
    risk: str = ""
    read_only: bool = False
    idempotent: bool = False
    irreversible: bool = False
    network: str = "undeclared"
    brings_untrusted_text: str = "undeclared"
    brings_private_data: str = "undeclared"
    sends_outside: str = "undeclared"
    version: int = 0


def tool_facts(tool: Any, version: int) -> ToolFacts:
    """What rules see of a tool; it may be a row or a view, they name these things alike."""
    named = [name for name in ToolFacts.__slots__ if name != "version"]
    return ToolFacts(**{name: getattr(tool, name) for name in named}, version=version)


@dataclass(frozen=True, slots=True)
class AgentFacts:
    name: str = ""
    key: str = ""
    owner: str = ""
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionFacts:
    id: str = ""
    tools_called: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """The facts of one call. Raises ValueError for a time without a zone."""

    args: Mapping[str, Any]
    tool: ToolFacts
    agent: AgentFacts
    session: SessionFacts = field(default_factory=SessionFacts)
    now: dt.datetime = field(kw_only=True)

    def __post_init__(self) -> None:
        if self.now.tzinfo is None:
            raise ValueError("now has no time zone")

    def as_mapping(self) -> Mapping[str, Any]:
        """Shape: args, tool, agent, session, time; each a dict. Built once; not to be changed."""
        return self._mapping

    @cached_property
    def utc(self) -> dt.datetime:
        return self.now.astimezone(dt.UTC)

    @cached_property
    def _mapping(self) -> dict[str, dict[str, Any]]:
        return {
            "args": dict(self.args),
            "tool": {name: getattr(self.tool, name) for name in ToolFacts.__slots__},
            "agent": {
                **{n: getattr(self.agent, n) for n in ("name", "key", "owner")},
                "scopes": list(self.agent.scopes),
            },
            "session": {
                "id": self.session.id,
                "tools_called": list(self.session.tools_called),
                "labels": list(self.session.labels),
            },
            "time": {
                "now": self.utc,
                "hour": self.utc.hour,
                "minute": self.utc.minute,
                "weekday": self.utc.weekday(),
                "date": self.utc.date().isoformat(),
            },
        }

    @cached_property
    def expression_variables(self) -> dict[str, Any]:
        """The same facts under the names that an expression's environment declares: `time.now` stands by itself."""
        time = {name: value for name, value in self._mapping["time"].items() if name != "now"}
        return {**self._mapping, "time": time, "time.now": self.utc}

    @cached_property
    def weight(self) -> Weight:
        """What an expression over these facts may have to read; the arguments alone are held to their limit."""
        args = weigh(self._mapping["args"], MOST_ARGUMENT_BYTES)
        if args.problem:
            return args
        rest = weigh([self._mapping[name] for name in ("tool", "agent", "session")], _MOST_CONTEXT_BYTES)
        return Weight(
            args.size_bytes + rest.size_bytes,
            args.nodes + rest.nodes,
            max(args.longest, rest.longest),
            rest.problem,
        )
