"""What a check found, and what it is told of the tools that are there already."""

from dataclasses import asdict, dataclass
from typing import Any

from telemetry.visible import visible

_LONGEST_WHERE = 200
_LONGEST_QUOTE = 160


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an operator should know before accepting a tool.

    `check` is a stable word, `where` a place in the declaration ("description",
    "input_schema/properties/query/description"), `detail` a sentence. All three are safe to show: what is hidden in
    them is escaped. `blocking`: the tool is accepted only by someone who was shown this.
    """

    check: str
    where: str
    detail: str
    blocking: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Known:
    """A tool that is there already. `name` is what agents here call it by; `upstream_name` is its upstream's own word,
    the same as `name` for a tool of this installation."""

    name: str
    upstream_name: str
    description: str = ""
    is_accepted: bool = True


def found(check: str, where: str, detail: str, *, blocking: bool = True) -> Finding:
    """A finding whose place can be shown; `detail` quotes the upstream only by `quoted`."""
    return Finding(check, clipped(visible(where), _LONGEST_WHERE), detail, blocking)


def quoted(text: str) -> str:
    """The upstream's words in ours: on one line, nothing hidden, cut at a length."""
    return f"“{clipped(visible(text), _LONGEST_QUOTE)}”"


def clipped(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
