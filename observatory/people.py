"""Accounts and groups: who changed whom is on record. Passwords and their hashes never are."""

from typing import Any

from django.contrib.auth.models import Group, User

from telemetry.recorder import Actor, Subject, record_event
from tools.actions.changes import changes


def person_facts(user: User) -> dict[str, Any]:
    """What matters of an account for who may do what."""
    return {
        "username": user.get_username(),
        "email": user.email,
        "name": user.get_full_name(),
        "is_active": user.is_active,
        "is_staff": user.is_staff,
        "is_superuser": user.is_superuser,
        "groups": sorted(user.groups.values_list("name", flat=True)),
        "permissions": _names(user.user_permissions),
    }


def group_facts(group: Group) -> dict[str, Any]:
    return {"name": group.name, "permissions": _names(group.permissions)}


def _names(permissions: Any) -> list[str]:
    rows = permissions.values_list("content_type__app_label", "codename")
    return sorted(f"{app}.{codename}" for app, codename in rows)


def record_person(user: User, before: dict[str, Any] | None, actor: Actor) -> None:
    """That the account is new or changed is part of the running transaction; no change, no event."""
    _record("person.changed", Subject("person", str(user.pk), user.get_username()), before, person_facts(user), actor)


def record_group(group: Group, before: dict[str, Any] | None, actor: Actor) -> None:
    _record("group.changed", Subject("group", str(group.pk), group.name), before, group_facts(group), actor)


def record_new_password(user: User, actor: Actor) -> None:
    """That it was set, and by whom; no more."""
    record_event(
        "person.changed", actor, Subject("person", str(user.pk), user.get_username()), data={"new_credential": True}
    )


def _record(type_: str, subject: Subject, before: dict[str, Any] | None, after: dict[str, Any], actor: Actor) -> None:
    if before is None:
        record_event(type_, actor, subject, data={"added": after})
    elif changed := changes(before, after):
        record_event(type_, actor, subject, data=changed)
