"""How heavy a JSON value is, so that the work of an expression over it can be bounded before it starts."""

import math
from dataclasses import dataclass
from typing import Any

MOST_DEPTH = 64
_MOST_INTEGER = 2**63 - 1
_LEAST_INTEGER = -(2**63)


@dataclass(frozen=True, slots=True)
class Weight:
    """`size_bytes` estimates the canonical form; `problem` says why no expression may see the value, else empty.

    Where there is a problem the walk stopped at it, and the numbers cover what was walked.
    """

    size_bytes: int = 0
    nodes: int = 0
    longest: int = 0
    problem: str = ""


def weigh(value: Any, most_bytes: int) -> Weight:
    """One walk, without recursion, that ends soon after `most_bytes`."""
    size = nodes = longest = 0
    stack: list[tuple[Any, int]] = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        nodes += 1
        if isinstance(item, dict | list | tuple):
            longest = max(longest, len(item))
            size += 2 + len(item)
            problem = _container_problem(item, depth)
            if not problem and size <= most_bytes:
                stack.extend((child, depth + 1) for child in (item.values() if isinstance(item, dict) else item))
                if isinstance(item, dict):
                    stack.extend((key, depth + 1) for key in item)
        else:
            cost, problem = _scalar(item)
            size += cost
        if not problem and size > most_bytes:
            problem = f"The arguments are larger than {most_bytes // 1024} KiB."
        if problem:
            return Weight(size, nodes, longest, problem)
    return Weight(size, nodes, longest)


def _container_problem(item: Any, depth: int) -> str:
    if depth >= MOST_DEPTH:
        return "The arguments nest too deeply."
    if isinstance(item, dict) and not all(isinstance(key, str) for key in item):
        return "A key is not a text."
    return ""


def _scalar(item: Any) -> tuple[int, str]:
    """The estimated bytes of a value that holds no others, and why it can't be used, if so."""
    if item is None or isinstance(item, bool):
        return 5, ""
    if isinstance(item, str):
        try:
            return len(item.encode()) + 2, ""
        except UnicodeEncodeError:
            return 0, "A text holds a lone surrogate."
    if isinstance(item, int):
        if not _LEAST_INTEGER <= item <= _MOST_INTEGER:
            return 0, "A whole number is beyond 64 bits."
        return len(str(item)), ""
    if isinstance(item, float):
        return (len(repr(item)), "") if math.isfinite(item) else (0, "A number is not finite.")
    return 0, f"A value is not JSON: {type(item).__name__}."
