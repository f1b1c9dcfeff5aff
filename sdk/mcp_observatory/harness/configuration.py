"""What a harness is given: what its sessions may do, and what is looked for in their texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from mcp_observatory.guards.session_policy import SessionPolicy

Mode = Literal["advisory", "mixed", "hard_gate"]
CATEGORIES = ("pii", "secrets", "injection", "toxicity", "custom")
# What a violation of denies in the mode `mixed`; the rest is recorded.
HARD_IN_MIXED = frozenset({"pii", "secrets", "injection"})
# As on a server that nobody has configured; a score above it is a violation.
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """What a session may do. An allowlist of None allows every tool, an empty one none; without `max_steps` a
    session has 100.

    Raises ValueError with a sentence that says what is wrong.
    """

    allowlist: Sequence[str] | None = None
    blocklist: Sequence[str] = ()
    no_network: bool = False
    dry_run: bool = False
    max_steps: int | None = None

    def __post_init__(self) -> None:
        self.as_policy()

    def as_policy(self) -> SessionPolicy:
        return SessionPolicy(
            allowlist=None if self.allowlist is None else _texts("allowlist", self.allowlist),
            blocklist=_texts("blocklist", self.blocklist),
            no_network=self.no_network,
            dry_run=self.dry_run,
            max_steps=self.max_steps,
        )


@dataclass(frozen=True, slots=True)
class GuardrailsConfig:
    """`hard_gate`: every violation denies; `mixed`: those of personal data, secrets and injection; `advisory`: none.

    `thresholds` are 0 to 1 a category: 0 means any finding, 1 that nothing is ever a violation.
    """

    mode: Mode = "advisory"
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError("mode is advisory, mixed or hard_gate.")
        if not isinstance(self.thresholds, Mapping) or not self.thresholds.keys() <= set(CATEGORIES):
            raise ValueError(f"thresholds are a number for each of {', '.join(CATEGORIES)}.")
        for threshold in self.thresholds.values():
            if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
                raise ValueError("A threshold is a number from 0 to 1.")
        object.__setattr__(self, "thresholds", {name: float(value) for name, value in self.thresholds.items()})

    @classmethod
    def read(cls, given: "GuardrailsConfig | Mapping[str, Any] | None") -> Self:
        """Raises ValueError with a sentence that says what is wrong."""
        if isinstance(given, GuardrailsConfig):
            return cls(given.mode, given.thresholds)
        if given is None:
            return cls()
        if not isinstance(given, Mapping) or not given.keys() <= {"mode", "thresholds"}:
            raise ValueError("Guardrails have a mode and thresholds, and nothing else.")
        return cls(given.get("mode", "advisory"), given.get("thresholds") or {})

    def threshold(self, category: str) -> float:
        return self.thresholds.get(category, DEFAULT_THRESHOLD)

    def denies(self, category: str) -> bool:
        """Whether a violation of this category denies."""
        return self.mode == "hard_gate" or (self.mode == "mixed" and category in HARD_IN_MIXED)

    def as_json(self) -> dict[str, Any]:
        return {"mode": self.mode, "thresholds": dict(self.thresholds)}


def _texts(member: str, given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence | set | frozenset):
        raise ValueError(f"{member} is a list of names.")
    return tuple(given)
