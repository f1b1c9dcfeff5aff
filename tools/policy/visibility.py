"""Whether a tool is shown at all: only where some call of it could be allowed."""

from dataclasses import dataclass
from functools import lru_cache

from tools.policy.compiler import Program
from tools.policy.effects import Effect
from tools.policy.selectors import matches


@dataclass(frozen=True, slots=True)
class Visible:
    """`rule` is the name of the rule that shows or hides it; empty where no rule is about the tool."""

    visible: bool
    why: str
    rule: str


@lru_cache(maxsize=8192)
def may_see(program: Program, tool_name: str) -> Visible:
    """Whether a rule could let the tool run, and none denies it whatever the call. Answers are kept."""
    about = [rule for rule in program.rules if rule.effect.is_gate and matches(rule.tools, tool_name)]
    for rule in about:
        if rule.effect is Effect.DENY and rule.is_unconditional:
            return Visible(False, f"Rule “{rule.name}” denies {tool_name} whatever the call.", rule.name)
    for rule in about:
        if rule.effect is not Effect.DENY:
            return Visible(True, f"Rule “{rule.name}” may let {tool_name} run.", rule.name)
    return Visible(False, f"No rule allows {tool_name}.", "")
