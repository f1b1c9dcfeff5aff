"""The ring of keys that sign commit tokens: one signs, some only verify, revoked ones do neither.

A key is derived from the master secret when it is used (telemetry/derivation.py) and stored nowhere; the ring holds
ids and states. The environment's name is part of the derivation, so a token of another environment is a forgery here.
"""

import datetime as dt
import secrets

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from approvals.models import SigningKey
from telemetry.derivation import all_keys, derive_key
from telemetry.recorder import SYSTEM, Actor, Subject, record_event

# Any number, as long as nothing else in this database locks by it.
_RING_LOCK = 7_306_002
Status = SigningKey.Status


def _purpose(kid: str) -> str:
    return f"commit-token/{kid}"


def signing_secret(key: SigningKey) -> bytes:
    """The bytes that sign under this key now."""
    return derive_key(_purpose(key.kid)).key


def verifying_secrets(kid: str) -> tuple[bytes, ...]:
    """The bytes that may have signed under this id: none for a key that is unknown or revoked."""
    honoured = SigningKey.objects.filter(kid=kid).exclude(status=Status.REVOKED).exists()
    return tuple(derived.key for derived in all_keys(_purpose(kid))) if honoured else ()


def active_key() -> SigningKey:
    """The one key that signs, and that signs while the running transaction lasts. The first is made when asked for.

    Locks: its row, FOR SHARE, so that a rotation waits; the ring, where there is none, or it was rotated meanwhile.
    """
    with transaction.atomic():
        return _active() or _active_in_locked_ring()


def _active() -> SigningKey | None:
    found = SigningKey.objects.raw("SELECT * FROM approvals_signingkey WHERE status = 'active' FOR SHARE")
    return next(iter(found), None)


def _active_in_locked_ring() -> SigningKey:
    _lock_ring()
    return _active() or _created(SYSTEM, timezone.now())


def rotate(actor: Actor, now: dt.datetime, why: str = "") -> SigningKey:
    """A new key signs from now on; the one that signed until now verifies only. Tokens out there stay good."""
    with transaction.atomic():
        _lock_ring()
        signed = SigningKey.objects.filter(status=Status.ACTIVE).first()
        if signed is not None:
            signed.status, signed.retired_at = Status.VERIFY_ONLY, now
            signed.save(update_fields=["status", "retired_at"])
            record_event("signing_key.retired", actor, _subject(signed), data={"why": why} if why else {}, now=now)
        return _created(actor, now)


def revoke(kid: str, actor: Actor, now: dt.datetime, why: str) -> SigningKey:
    """The key's tokens are forgeries from now on. Where it was the one that signs, a new key signs.

    Locks: the key's row, which a commit under way holds FOR SHARE; after this returns, no such commit succeeds.
    """
    with transaction.atomic():
        _lock_ring()
        key = SigningKey.objects.select_for_update().filter(kid=kid).first()
        if key is None or key.status == Status.REVOKED:
            raise ValidationError("This key is revoked already." if key else "There is no such key.")
        signs = key.status == Status.ACTIVE
        key.status, key.revoked_at, key.revoked_because = Status.REVOKED, now, why[:300]
        key.retired_at = key.retired_at or now
        key.save(update_fields=["status", "revoked_at", "revoked_because", "retired_at"])
        record_event("signing_key.revoked", actor, _subject(key), data={"why": why}, now=now)
        if signs:
            _created(actor, now)
        return key


def is_honoured_for_now(kid: str) -> bool:
    """True: the key is not revoked, and is not while the running transaction lasts. Locks: its row, FOR SHARE."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM approvals_signingkey WHERE kid = %s AND status <> %s FOR SHARE", [kid, Status.REVOKED.value]
        )
        return cursor.fetchone() is not None


def _lock_ring() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_RING_LOCK])


def _created(actor: Actor, now: dt.datetime) -> SigningKey:
    key = SigningKey.objects.create(kid=secrets.token_hex(4), created_at=now)
    record_event("signing_key.created", actor, _subject(key), now=now)
    return key


def _subject(key: SigningKey) -> Subject:
    return Subject("signing_key", str(key.pk), key.kid)
