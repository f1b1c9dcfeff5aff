"""What an effect is given: a rate, paths to redact, terms of an approval. Read once, when a policy is compiled."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.policy.effects import Effect

_RATE = re.compile(r"[0-9]{1,7}/(?P<multiple>[0-9]{0,4})[smhd]")
_PATH = re.compile(r"[^\s.]+(\.[^\s.]+)*")
MOST_PATHS = 200
MOST_PATH_CHARACTERS = 200
MOST_GROUPS = 50
MOST_QUORUM = 100
MOST_EXPIRY_S = 31 * 24 * 3600
DEFAULT_EXPIRY_S = 3600


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """Who must agree, and how soon. No group named: every operator who may decide."""

    quorum: int = 1
    groups: tuple[str, ...] = ()
    expires_in_s: int = DEFAULT_EXPIRY_S


@dataclass(frozen=True, slots=True)
class Parameters:
    """`rate` and `redact` are empty where the effect is another."""

    rate: str = ""
    redact: tuple[str, ...] = ()
    approval: ApprovalTerms | None = None


_KEYS = {
    Effect.RATE: frozenset({"rate"}),
    Effect.REDACT: frozenset({"paths"}),
    Effect.REQUIRE_APPROVAL: frozenset({"quorum", "groups", "expires_in_s"}),
}


def read_parameters(effect: Effect, given: Mapping[str, Any]) -> Parameters | list[str]:
    """The parameters, or everything that is wrong with them."""
    known = _KEYS.get(effect, frozenset())
    problems = [f"“{effect.label}” has no parameter “{key}”." for key in given if key not in known]
    if effect is Effect.RATE:
        problems += _rate_problems(given.get("rate"))
    elif effect is Effect.REDACT:
        problems += _paths_problems(given.get("paths"))
    elif effect is Effect.REQUIRE_APPROVAL:
        problems += _whole_number_problems(given, "quorum", MOST_QUORUM)
        problems += _whole_number_problems(given, "expires_in_s", MOST_EXPIRY_S)
        problems += _groups_problems(given.get("groups", []))
    if problems:
        return problems
    if effect is Effect.REQUIRE_APPROVAL:
        terms = ApprovalTerms(
            given.get("quorum", 1), tuple(given.get("groups", ())), given.get("expires_in_s", DEFAULT_EXPIRY_S)
        )
        return Parameters(approval=terms)
    return Parameters(rate=given.get("rate", ""), redact=tuple(given.get("paths", ())))


def is_rate(text: Any) -> bool:
    """Whether it is a rate as django-ratelimit counts it: 10/m, 5/10m, never over no time at all."""
    found = _RATE.fullmatch(text) if isinstance(text, str) else None
    return found is not None and not (found["multiple"] and int(found["multiple"]) == 0)


def _rate_problems(rate: Any) -> list[str]:
    if not is_rate(rate):
        return ["A rate is written like 10/m: ten a minute; also 10/s, 1000/h, 5/10m (five in ten minutes)."]
    return []


def _paths_problems(paths: Any) -> list[str]:
    if not isinstance(paths, list) or not paths:
        return ["Name at least one path to redact, e.g. customer.email."]
    if len(paths) > MOST_PATHS:
        return [f"More than {MOST_PATHS} paths."]
    return [
        "A path to redact is written like customer.email."
        for path in paths
        if not isinstance(path, str) or len(path) > MOST_PATH_CHARACTERS or not _PATH.fullmatch(path)
    ]


def _groups_problems(groups: Any) -> list[str]:
    if not isinstance(groups, list) or not all(isinstance(group, str) and group.strip() for group in groups):
        return ["Groups are a list of names."]
    return [f"More than {MOST_GROUPS} groups."] if len(groups) > MOST_GROUPS else []


def _whole_number_problems(given: Mapping[str, Any], key: str, most: int) -> list[str]:
    value = given.get(key, 1)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        return [f"“{key}” must be a whole number from 1 to {most}."]
    return []
