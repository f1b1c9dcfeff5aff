"""A rule in words, for people who read it under pressure: what it is about, when, and what it then does."""

from tools.policy.document import RuleDocument
from tools.policy.effects import Effect
from tools.policy.parameters import DEFAULT_EXPIRY_S

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def duration(seconds: int) -> str:
    """In the largest unit that fits without a rest: 3600 is “1 hour”, 5400 “90 minutes”."""
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"


def conditions(rule: RuleDocument) -> tuple[str, ...]:
    """Everything that must hold, a phrase each; empty for a rule that always holds."""
    typed = tuple(str(condition) for condition in rule.conditions)
    return (*typed, rule.expression) if rule.expression else typed


def terms(rule: RuleDocument) -> str:
    """What the effect is given, in words; empty where it takes nothing."""
    given = rule.parameters
    if rule.effect is Effect.RATE:
        return f"at most {given.get('rate') or '(no rate)'}"
    if rule.effect is Effect.REDACT:
        return f"hides {', '.join(given.get('paths', ())) or '(no path)'}"
    if rule.effect is Effect.REQUIRE_APPROVAL:
        quorum = given.get("quorum", 1)
        people = "1 person" if quorum == 1 else f"{quorum} people"
        groups = given.get("groups", ())
        whose = f" of {', '.join(groups)}" if groups else ""
        return f"by {people}{whose} within {duration(given.get('expires_in_s', DEFAULT_EXPIRY_S))}"
    return ""


def effect(rule: RuleDocument) -> str:
    """“Require approval by 2 people of finance within 1 hour”."""
    return f"{rule.effect.label} {terms(rule)}".rstrip()


def parts(rule: RuleDocument) -> dict[str, str]:
    """Every part of a rule by the name of its field in the editor, a line each where there are several."""
    return {
        "Name": rule.name,
        "Tools": "\n".join(rule.tools),
        "Effect": effect(rule),
        "Conditions": "\n".join(str(condition) for condition in rule.conditions),
        "CEL expression": rule.expression,
    }
