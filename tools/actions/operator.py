"""Who acts: an operator by their account, or a command of the installation."""

from typing import Any

from telemetry.recorder import SYSTEM, Actor


def operator(user: Any) -> Actor:
    """The account as an actor of the day; None is the installation itself (a command, a migration)."""
    return Actor("operator", str(user.pk), user.get_username()) if user is not None else SYSTEM


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
