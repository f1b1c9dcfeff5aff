"""What operators say of guardrails: how strict, which detectors, and detectors of their own.

Each change is checked, made, and an audit event, together. A credential goes in and never comes out.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from telemetry.delivery.channel_acts import url_problem
from telemetry.detectors.registry import by_name
from telemetry.egress import EgressError
from telemetry.egress.client import checked_headers
from telemetry.guardrails import MODES
from telemetry.models import GuardrailSettings, RemoteDetector
from telemetry.own_detectors import sealed
from telemetry.recorder import Actor, Subject, record_event

MODE_FIELDS = ("sessions_mode", "calls_mode")
FIELDS = (*MODE_FIELDS, *GuardrailSettings.THRESHOLDS, "switched_off")
# What signals call a category that nobody could look for.
_NOBODY = "none"
_TOLD = ("name", "category", "url", "secret_header", "timeout_s", "enabled")
_OURS = frozenset({"accept", "content-type", "user-agent"})
_MOVED = "Texts would go to another host: type its credential, or clear the header's name."


def settings_in_force() -> GuardrailSettings:
    """The row; until somebody saved one, the defaults."""
    return GuardrailSettings.objects.filter(pk=1).first() or GuardrailSettings(pk=1)


def differences(before: GuardrailSettings, after: GuardrailSettings) -> dict[str, tuple[Any, Any]]:
    """What differs, as (from, to) by field."""
    pairs = {name: (_value(before, name), _value(after, name)) for name in FIELDS}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _value(row: GuardrailSettings, name: str) -> Any:
    value = getattr(row, name)
    return sorted(value) if name == "switched_off" else value


def laxer(before: GuardrailSettings, after: GuardrailSettings) -> list[str]:
    """The fields by which less is refused or found than before."""
    return [name for name, (was, is_now) in differences(before, after).items() if _is_laxer(name, was, is_now)]


def _is_laxer(name: str, was: Any, is_now: Any) -> bool:
    if name in MODE_FIELDS:
        return MODES.index(is_now) < MODES.index(was)
    if name == "switched_off":
        return not set(is_now) <= set(was)
    return bool(is_now > was)


def save_settings(seen: GuardrailSettings, wanted: GuardrailSettings, actor: Actor, now: dt.datetime) -> bool:
    """These settings hold from now on; False where nothing differs. Locks: the row.

    Raises ValidationError, also where they are not any more as they were seen: what was agreed to is another change.
    """
    wanted.pk = 1
    wanted.full_clean(validate_unique=False, validate_constraints=False)
    unknown = sorted(set(wanted.switched_off) - set(by_name()) - set(settings_in_force().switched_off))
    if unknown:
        raise ValidationError({"switched_off": f"There is no built-in detector {', '.join(unknown)}."})
    with transaction.atomic():
        GuardrailSettings.objects.get_or_create(pk=1)
        before = GuardrailSettings.objects.select_for_update().get(pk=1)
        if differences(seen, before):
            raise ValidationError("Somebody changed the settings meanwhile. Look at them again.")
        changed = differences(before, wanted)
        if not changed:
            return False
        wanted.changed_at = now
        wanted.save(force_update=True)
        # As values, not as names: one of the names is “secrets”, and what stands under such a name is masked.
        data = {
            "changes": [{"of": name, "from": was, "to": is_now} for name, (was, is_now) in changed.items()],
            "laxer": laxer(before, wanted),
        }
        record_event("guardrails.changed", actor, Subject("guardrails", "1", "Guardrails"), data=data, now=now)
    return True


def detector_problems(row: RemoteDetector, secret: str = "") -> dict[str, str]:
    """What is wrong with a detector as typed, by field, as far as can be told without asking it."""
    before = RemoteDetector.objects.filter(pk=row.pk).first() if row.pk else None
    keeps = bool(before and before.sealed_secret) and not secret
    found = {}
    if row.name in by_name() or row.name == _NOBODY:
        found["name"] = "A built-in detector has this name; signals must tell them apart."
    if problem := url_problem(row.url):
        found["url"] = problem
    elif before is not None and keeps and row.secret_header and _origin(before.url) != _origin(row.url):
        # Otherwise whoever may edit the URL could have the stored credential sent to a host of their own.
        found["secret"] = _MOVED
    if problem := _header_problem(row.secret_header, secret):
        found["secret" if row.secret_header and _is_name(row.secret_header) else "secret_header"] = problem
    elif row.secret_header and not secret and not keeps:
        found.setdefault("secret", "Type the credential that the header carries, or clear the header's name.")
    return found


def _header_problem(name: str, secret: str) -> str:
    if not name:
        return "Name the header that carries the credential, e.g. Authorization." if secret else ""
    if not _is_name(name):
        return "That is no header of your own to set; e.g. Authorization."
    return "" if secret.isascii() and (secret.isprintable() or not secret) else "A header carries printable ASCII only."


def _is_name(name: str) -> bool:
    try:
        checked_headers({name: ""})
    except EgressError:
        return False
    return name.lower() not in _OURS


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


def save_detector(row: RemoteDetector, actor: Actor, now: dt.datetime, *, secret: str = "") -> None:
    """The detector is as given, and asked from now on where it is on. Without a header's name a stored credential is
    forgotten. Raises ValidationError. Locks: the row.
    """
    if problems := detector_problems(row, secret):
        raise ValidationError(problems)
    row.changed_at = now
    try:
        with transaction.atomic():
            row.full_clean(validate_unique=False, validate_constraints=False)
            before = RemoteDetector.objects.select_for_update().filter(pk=row.pk).first() if row.pk else None
            if before is None:
                row.save(force_insert=True)
            if secret:
                row.sealed_secret = sealed(row, secret)
            elif not row.secret_header:
                row.sealed_secret = None
            else:
                row.sealed_secret = before.sealed_secret if before else None
            row.save(update_fields=[*_TOLD, "sealed_secret", "changed_at"])
            _record(row, before, actor, now, is_new_secret=bool(secret))
    except IntegrityError as error:
        raise ValidationError({"name": "Another detector has this name."}) from error


def _record(
    row: RemoteDetector, before: RemoteDetector | None, actor: Actor, now: dt.datetime, *, is_new_secret: bool
) -> None:
    is_now = _told(row)
    if before is None:
        record_event("remote_detector.created", actor, _subject(row), data=is_now, now=now)
        return
    was = _told(before)
    changed: dict[str, Any] = {
        name: {"from": was[name], "to": is_now[name]} for name in was if was[name] != is_now[name]
    }
    if changed or is_new_secret or before.url != row.url:
        data = changed | {"typed_anew": is_new_secret, "other_url": before.url != row.url}
        record_event("remote_detector.changed", actor, _subject(row), data=data, now=now)


def remove_detector(detector_id: int, actor: Actor, now: dt.datetime, why: str = "") -> bool:
    """It is asked no more, and its credential is gone; False where it was removed already. Locks: the row."""
    with transaction.atomic():
        row = RemoteDetector.objects.select_for_update().filter(pk=detector_id).first()
        if row is None:
            return False
        subject, data = _subject(row), _told(row)
        row.delete()
        record_event("remote_detector.removed", actor, subject, data=data | {"why": why}, now=now)
    return True


def _subject(row: RemoteDetector) -> Subject:
    return Subject("remote_detector", str(row.pk), row.name)


def _told(row: RemoteDetector) -> dict[str, Any]:
    """What an event tells of it. A query may hold a credential that its owner put there."""
    header = row.secret_header
    told = {name: getattr(row, name) for name in _TOLD if name not in ("url", "secret_header")}
    return told | {"where": row.url.partition("?")[0], "header": header}
