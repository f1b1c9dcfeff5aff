"""What an operator's act changed, as records tell it."""

from typing import Any


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What differs. Shape: {field: {"from": old, "to": new}}."""
    return {
        name: {"from": _plain(before[name]), "to": _plain(after[name])}
        for name in after
        if before.get(name) != after[name]
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value)
