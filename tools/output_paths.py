"""Masking named places of an output: `customer.email`, `results.*.email` (`*` is every element or key)."""

import copy
from collections.abc import Iterable
from typing import Any

MASK = "[redacted]"


def mask_paths(output: dict[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """A copy of the output with every named place masked. A path that leads nowhere masks nothing."""
    masked = copy.deepcopy(output)
    for path in paths:
        _mask(masked, path.split("."))
    return masked


def _mask(node: Any, parts: list[str]) -> None:
    head, rest = parts[0], parts[1:]
    for key in _keys(node, head):
        if rest:
            _mask(node[key], rest)
        elif node[key] is not None:
            node[key] = MASK


def _keys(node: Any, head: str) -> list[Any]:
    if isinstance(node, dict):
        return list(node) if head == "*" else [head] if head in node else []
    if isinstance(node, list):
        if head == "*":
            return list(range(len(node)))
        return [int(head)] if head.isascii() and head.isdigit() and int(head) < len(node) else []
    return []
