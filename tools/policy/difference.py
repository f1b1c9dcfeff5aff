"""What would change from one document of a policy to another, rule by rule. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from tools.policy import words
from tools.policy.document import PolicyDocument, RuleDocument

SWITCHES = (
    ("self_confirm", "Self-confirm"),
    ("no_network", "No network"),
    ("dry_run", "Dry run"),
    ("tool_search", "Tool search"),
)


class Change(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class PartChange:
    """One part of a rule, or one switch, before and after."""

    part: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RuleChange:
    """`rule` is the new one, for a removed rule the old; `parts` is filled for a changed one only."""

    change: Change
    rule: RuleDocument
    parts: tuple[PartChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    rules: tuple[RuleChange, ...]
    switches: tuple[PartChange, ...]

    @property
    def is_empty(self) -> bool:
        return not self.switches and all(rule.change is Change.SAME for rule in self.rules)

    @property
    def changed(self) -> tuple[RuleChange, ...]:
        return tuple(rule for rule in self.rules if rule.change is not Change.SAME)

    @property
    def unchanged(self) -> tuple[RuleChange, ...]:
        return tuple(rule for rule in self.rules if rule.change is Change.SAME)


_EMPTY = PolicyDocument(rules=())


def difference(before: PolicyDocument | None, after: PolicyDocument) -> Difference:
    """Rules in their new order, removed ones last. Without a document before, everything is added."""
    old = before or _EMPTY
    pairs = _pairs(old, after)
    stayed = [pairs[rule.id] for rule in after.rules if rule.id in pairs]
    still = _longest_rising([old.rules.index(rule) for rule in stayed])
    rules = [_rule(rule, pairs.get(rule.id), old, still) for rule in after.rules]
    kept = {id(rule) for rule in pairs.values()}
    rules += [RuleChange(Change.REMOVED, rule) for rule in old.rules if id(rule) not in kept]
    switches = tuple(
        PartChange(label, _on(getattr(old, name)), _on(getattr(after, name)))
        for name, label in SWITCHES
        if getattr(old, name) != getattr(after, name)
    )
    return Difference(tuple(rules), switches)


def _pairs(before: PolicyDocument, after: PolicyDocument) -> dict[str, RuleDocument]:
    """The old rule of each new one that has one: by id, else by a name that neither side has twice.

    Rolling back makes rules anew, so an id alone would call every one of them removed and added.
    """
    by_id = {rule.id: rule for rule in before.rules}
    pairs = {rule.id: by_id[rule.id] for rule in after.rules if rule.id in by_id}
    taken = {rule.id for rule in pairs.values()}
    left_old = [rule for rule in before.rules if rule.id not in taken]
    left_new = [rule for rule in after.rules if rule.id not in pairs]
    for rule in left_new:
        same_name = [other for other in left_old if other.name == rule.name]
        if len(same_name) == 1 and sum(other.name == rule.name for other in left_new) == 1:
            pairs[rule.id] = same_name[0]
    return pairs


def _rule(rule: RuleDocument, was: RuleDocument | None, old: PolicyDocument, still: set[int]) -> RuleChange:
    if was is None:
        return RuleChange(Change.ADDED, rule)
    before, after = words.parts(was), words.parts(rule)
    parts = tuple(PartChange(part, before[part], after[part]) for part in after if before[part] != after[part])
    if parts:
        return RuleChange(Change.CHANGED, rule, parts)
    return RuleChange(Change.SAME if old.rules.index(was) in still else Change.MOVED, rule)


def _longest_rising(places: list[int]) -> set[int]:
    """The places of the rules that need not be called moved: the longest run that is in order already."""
    runs: list[list[int]] = [[]]
    for place in places:
        best = max((run for run in runs if not run or run[-1] < place), key=len)
        runs.append([*best, place])
    longest = max(runs, key=len)
    return set(longest)


def _on(value: bool) -> str:
    return "on" if value else "off"
