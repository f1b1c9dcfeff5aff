"""What a rule can ask for, and which of two demands is the stricter."""

from collections.abc import Iterable
from enum import StrEnum


class Effect(StrEnum):
    """Gates answer "may it run?"; modifiers (dry_run, redact, rate) change how it runs and allow nothing."""

    ALLOW = "allow"
    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"
    REQUIRE_TWO_PHASE = "require_two_phase"
    DRY_RUN = "dry_run"
    REDACT = "redact"
    RATE = "rate"

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def is_gate(self) -> bool:
        return self in GATES


# Loosest first; the last one that any rule asks for wins.
GATES = (Effect.ALLOW, Effect.REQUIRE_APPROVAL, Effect.REQUIRE_TWO_PHASE, Effect.DENY)
MODIFIERS = frozenset(Effect) - frozenset(GATES)
_STRICTNESS = {effect: rank for rank, effect in enumerate(GATES)}

_LABELS = {
    Effect.ALLOW: "Allow",
    Effect.DENY: "Deny",
    Effect.REQUIRE_APPROVAL: "Require approval",
    Effect.REQUIRE_TWO_PHASE: "Require two phases",
    Effect.DRY_RUN: "Dry run",
    Effect.REDACT: "Redact",
    Effect.RATE: "Rate",
}


def strictness(gate: Effect) -> int:
    """A gate's rank, 0 for allow. Raises KeyError for a modifier, which has none."""
    return _STRICTNESS[gate]


def strictest(gates: Iterable[Effect]) -> Effect:
    """The most restrictive of at least one gate."""
    return max(gates, key=strictness)


def effect_of_error(effect: Effect) -> Effect:
    """The gate that a rule stands for when it can't be decided: its own, but never looser than a person's word."""
    return strictest((effect, Effect.REQUIRE_APPROVAL)) if effect.is_gate else Effect.REQUIRE_APPROVAL
