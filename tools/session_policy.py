"""What a session may do, beside what its key may: a list of tools, no network, nothing for real, so many steps.

Pure, and the standard library only, for the SDK runs this very text: docs/adr/0023.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

Network = Literal["yes", "no", "undeclared"]
Denial = tuple[str, str]

MOST_NAMES = 500
LONGEST_NAME = 256
MOST_STEPS = 10_000
# Of a session that sets no limit: an agent that runs in circles stops.
DEFAULT_STEPS = 100
STEP_LIMIT: Denial = ("max_steps", "Max steps exceeded")

_MEMBERS = ("allowlist", "blocklist", "no_network", "dry_run", "max_steps")
_DECLARED: Mapping[str, Network] = {"yes": "yes", "no": "no"}
_CHANNELS = {"user": "user_to_llm", "assistant": "tool_to_llm", "tool": "tool_to_llm"}


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """Names are sorted and stand once, so that equal policies are equal. An allowlist of None allows every tool; an
    empty one none. A session whose `max_steps` is None has DEFAULT_STEPS.
    """

    allowlist: tuple[str, ...] | None = None
    blocklist: tuple[str, ...] = ()
    no_network: bool = False
    dry_run: bool = False
    max_steps: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError with a sentence that says what is wrong."""
        if self.allowlist is not None:
            object.__setattr__(self, "allowlist", _names("allowlist", self.allowlist))
        object.__setattr__(self, "blocklist", _names("blocklist", self.blocklist))
        for member in ("no_network", "dry_run"):
            if not isinstance(getattr(self, member), bool):
                raise ValueError(f"{member} is true or false.")
        if self.max_steps is not None and (
            isinstance(self.max_steps, bool)
            or not isinstance(self.max_steps, int)
            or not 1 <= self.max_steps <= MOST_STEPS
        ):
            raise ValueError(f"max_steps is a whole number from 1 to {MOST_STEPS}.")

    @classmethod
    def from_json(cls, given: object) -> SessionPolicy:
        """The policy of a JSON object; None is the policy that forbids nothing. Raises ValueError with a sentence."""
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise ValueError("A policy is an object.")
        if any(name not in _MEMBERS for name in given):
            raise ValueError(f"A policy has no other members than {', '.join(_MEMBERS)}.")
        members = {name: value for name, value in given.items() if value is not None}
        for name in ("allowlist", "blocklist"):
            if name in members and not isinstance(members[name], list | tuple):
                raise ValueError(f"{name} is a list of names.")
        return cls(**members)

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "allowlist": None if self.allowlist is None else list(self.allowlist),
            "blocklist": list(self.blocklist),
            "no_network": self.no_network,
            "dry_run": self.dry_run,
            "max_steps": self.max_steps,
        }

    def allows_step(self, number: int) -> bool:
        """Whether there may be a step of this number, the first being 1."""
        return self.max_steps is None or number <= self.max_steps


def judge(policy: SessionPolicy, tool_name: str, network: Network) -> Denial | None:
    """Why the session may not call this tool: a reason code and a sentence. None where it may."""
    if tool_name in policy.blocklist:
        return "session_blocklist", "The session's blocklist names this tool."
    if policy.allowlist is not None and tool_name not in policy.allowlist:
        return "session_allowlist", "The session's allowlist does not name this tool."
    if policy.no_network and network == "yes":
        return "no_network", "The session allows no network, and this tool uses it."
    if policy.no_network and network != "no":
        return "no_network", "The session allows no network, and this tool does not declare that it needs none."
    return None


def network_of(tool: Mapping[str, Any]) -> Network:
    """What a listed tool declares: by its member `network`, else by the hint of MCP's annotations.

    Source: MCP, ToolAnnotations.openWorldHint. Anything but a plain yes or no is no declaration.
    """
    declared = tool.get("network")
    if isinstance(declared, str):
        return _DECLARED.get(declared, "undeclared")
    if not isinstance(declared, bool):
        annotations = tool.get("annotations")
        declared = annotations.get("openWorldHint") if isinstance(annotations, Mapping) else None
    if not isinstance(declared, bool):
        return "undeclared"
    return "yes" if declared else "no"


def channel_of(role: str, has_tool: bool) -> str:
    """Between whom a step passes. Raises ValueError for a role that there is none of."""
    if role not in _CHANNELS:
        raise ValueError("role is user, assistant or tool.")
    return "llm_to_tool" if role == "assistant" and has_tool else _CHANNELS[role]


def dry_run_text(tool_name: str) -> str:
    """What stands in the place of an output where nothing ran."""
    return f"[DRY RUN] Would call {tool_name}"


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NETWORK_WORDS = frozenset(
    (
        *("api", "browse", "browser", "crawl", "curl", "download", "fetch", "ftp", "http", "https", "internet"),
        *("request", "scrape", "search", "upload", "uri", "url", "web", "webhook", "webpage", "website"),
        *("websocket", "wget"),
    )
)
_URL = re.compile(r"\b(?:https?|wss?|ftp)://", re.IGNORECASE)
_MOST_VALUES = 1_000
_LONGEST_SEARCHED = 4_096


def looks_like_network(tool_name: str, args: Any) -> bool:
    """A guess by the name's words and by addresses in the arguments; never what a call is denied by.

    The first thousand values are looked at, and of each text the beginning.
    """
    if any(word.lower() in _NETWORK_WORDS for word in _WORD.findall(tool_name[:LONGEST_NAME])):
        return True
    waiting, looked_at = [args], 0
    while waiting and looked_at < _MOST_VALUES:
        value = waiting.pop()
        looked_at += 1
        if isinstance(value, str):
            if _URL.search(value[:_LONGEST_SEARCHED]):
                return True
        elif isinstance(value, Mapping):
            waiting += islice(value.values(), _MOST_VALUES)
        elif isinstance(value, list | tuple):
            waiting += value[:_MOST_VALUES]
    return False


def _names(member: str, given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise ValueError(f"{member} is a list of names.")
    names = list(given)
    if len(names) > MOST_NAMES:
        raise ValueError(f"{member} has at most {MOST_NAMES} names.")
    if not all(isinstance(name, str) and 1 <= len(name) <= LONGEST_NAME for name in names):
        raise ValueError(f"A name in {member} is text of 1 to {LONGEST_NAME} characters.")
    return tuple(sorted(set(names)))
