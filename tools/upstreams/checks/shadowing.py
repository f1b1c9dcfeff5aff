"""A tool that speaks of another's, or goes by its name: what one upstream says must not steer calls to another.

Its own siblings may be spoken of: tools of one server often work together.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from telemetry.detectors.lookalikes import as_read, skeleton
from tools.upstreams.checks.finding import Finding, Known, found, quoted
from tools.upstreams.checks.texts import Role, texts_of

# A word of a language, such as "search", is a name only where it is marked as one.
_COMPOUND = re.compile(r"[a-z0-9][._-]?[A-Z]|[a-zA-Z0-9][._-][a-zA-Z0-9]")
_NAME = re.compile(r"[\w.-]+")
_MARKED = re.compile(r"[`'\"“‘]([\w.-]{2,})[`'\"”’]|\b([\w-]{2,}) (?:tool|function)\b|\b(?:call|invoke) ([\w-]{2,})\(")
_SHORTEST_NEAR = 6


def check(declaration: Mapping[str, Any], upstream: str, others: Mapping[str, Sequence[Known]]) -> Iterator[Finding]:
    name = declaration.get("name")
    if isinstance(name, str) and name:
        yield from _same_names(name, upstream, others)
    yield from _mentions(declaration, upstream, others)


def _same_names(name: str, upstream: str, others: Mapping[str, Sequence[Known]]) -> Iterator[Finding]:
    for owner, tools in others.items():
        if owner == upstream:
            continue
        for tool in tools:
            whose = f"of {quoted(owner)}" if owner else "of this installation"
            if bare(name) == bare(tool.upstream_name):
                detail = f"{quoted(tool.name)} {whose} has the same name: a model may call one and mean the other."
                yield found("same_name", "name", detail)
            elif skeleton(name) == skeleton(tool.upstream_name):
                detail = f"Differs from {quoted(tool.name)} {whose} only in what is hardly seen."
                yield found("near_name", "name", detail)
            elif tool.is_accepted and is_one_edit(skeleton(name), skeleton(tool.upstream_name)):
                detail = f"One letter differs from {quoted(tool.name)} {whose}."
                yield found("near_name", "name", detail, blocking=False)


def bare(name: str) -> str:
    """The name as agents here would read it, without what stands before it."""
    return re.sub(r"[^a-z0-9_.-]", "_", name.lower())


def is_one_edit(one: str, other: str) -> bool:
    """True where one letter more, less, other or changed in place with its neighbour makes one of the other."""
    if min(len(one), len(other)) < _SHORTEST_NEAR or abs(len(one) - len(other)) > 1 or one == other:
        return False
    start = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    left, right = one[start:], other[start:]
    return (
        left[1:] == right[1:]
        or left[1:] == right
        or left == right[1:]
        or (left[:2] == right[:2][::-1] and left[2:] == right[2:])
    )


def _mentions(
    declaration: Mapping[str, Any], upstream: str, others: Mapping[str, Sequence[Known]]
) -> Iterator[Finding]:
    named = _named(str(declaration.get("name", "")), upstream, others)
    for text in texts_of(declaration):
        if text.role is Role.NAME:
            continue
        hits = dict.fromkeys(named[word] for word in _names_in(text.text) if word in named)
        for owner, name in hits:
            whose = f"of {quoted(owner)}" if owner else "of this installation"
            detail = f"Speaks of {quoted(name)}, a tool {whose}: no other server's business."
            yield found("names_other_tool", text.where, detail)


def _named(name: str, upstream: str, others: Mapping[str, Sequence[Known]]) -> dict[str, tuple[str, str]]:
    """(upstream, name) of each tool of others by the words that mean it; a sibling's name means the sibling."""
    own = {skeleton(name)} | {skeleton(tool.upstream_name) for tool in others.get(upstream, ())}
    named: dict[str, tuple[str, str]] = {}
    for owner, tools in others.items():
        for tool in tools if owner != upstream else ():
            named.setdefault(as_read(tool.name), (owner, tool.name))
            if skeleton(tool.upstream_name) not in own:
                named.setdefault(as_read(tool.upstream_name), (owner, tool.name))
    return named


def _names_in(text: str) -> Iterator[str]:
    for match in _NAME.finditer(text):
        word = match[0].strip(".-")
        if _COMPOUND.search(word):
            yield as_read(word)
    for match in _MARKED.finditer(text):
        yield as_read(next(filter(None, match.groups())))
