"""Which tools a rule is about: exact names, or globs with `*` (any run) and `?` (one character). Case counts."""

import re
from collections.abc import Sequence
from functools import lru_cache

MOST_SELECTOR_CHARACTERS = 64
_SELECTOR = re.compile(r"[a-z0-9_.*?-]+")
SELECTOR_HELP = "Small letters, digits, “_”, “.”, “-”; * stands for any run of characters and ? for one: crm.*"


def matches(selectors: Sequence[str], tool_name: str) -> bool:
    """True where at least one selector names the tool."""
    return _any_matches(tuple(selectors), tool_name)


@lru_cache(maxsize=8192)
def _any_matches(selectors: tuple[str, ...], tool_name: str) -> bool:
    return any(_glob_matches(selector, tool_name) for selector in selectors)


def _glob_matches(glob: str, name: str) -> bool:
    """Whole-name match in at most len(glob) * len(name) steps; a regex would backtrack on `*a*a*a*`."""
    at_glob = at_name = 0
    last_star, resume = -1, 0
    while at_name < len(name):
        if at_glob < len(glob) and glob[at_glob] == "*":
            last_star, resume = at_glob, at_name
            at_glob += 1
        elif at_glob < len(glob) and glob[at_glob] in ("?", name[at_name]):
            at_glob += 1
            at_name += 1
        elif last_star >= 0:
            # The last star takes one character more.
            resume += 1
            at_glob, at_name = last_star + 1, resume
        else:
            return False
    return all(character == "*" for character in glob[at_glob:])


def selector_problem(selector: str) -> str | None:
    """What is wrong with one selector, or None."""
    if not selector:
        return "A selector is empty."
    if len(selector) > MOST_SELECTOR_CHARACTERS:
        return f"“{selector[:20]}…” is longer than {MOST_SELECTOR_CHARACTERS} characters."
    if not _SELECTOR.fullmatch(selector):
        return f"“{selector}” can't name a tool. {SELECTOR_HELP}"
    return None


def selector_problems(text: str) -> list[str]:
    """What is wrong with selectors as typed, one a line; empty lines do not count. No selector at all is a problem."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return [f"Name at least one tool. {SELECTOR_HELP}"]
    return [problem for line in lines if (problem := selector_problem(line))]
