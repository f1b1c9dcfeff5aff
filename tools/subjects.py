"""Whose key a proven access token acts as. Genuine tokens of nobody are noted for operators, a few of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import threading
from dataclasses import replace

from django.db import connection, transaction

from tools.access_tokens import Identity
from tools.models import AccessSubject, UnmappedSubject
from tools.snapshot import KeyView, Snapshot

log = logging.getLogger(__name__)
Kind = AccessSubject.Kind
# What an account of the issuer could fill by coming again and again under other names.
MOST_KEPT = 50
EVERY = dt.timedelta(minutes=1)
MOST_NOTED = 1000
_lock = threading.Lock()
_noted: dict[str, dt.datetime] = {}


def acting_as(identity: Identity, snapshot: Snapshot, now: dt.datetime) -> KeyView | None:
    """The key, with those of its scopes that the token grants; None where the token acts as nobody."""
    public_id = _mapped_to(identity, snapshot)
    if not public_id:
        note_unmapped(identity, now)
        return None
    key = snapshot.keys_by_public_id.get(public_id)
    if key is None or not key.usable(now):
        return None
    return replace(key, scopes=key.scopes & identity.scopes, access_subject=_described(identity))


def _mapped_to(identity: Identity, snapshot: Snapshot) -> str:
    """The key's public id, or nothing. A subject that is mapped, or was, is judged by that; any other by its client."""
    for kind, value in ((Kind.SUBJECT.value, identity.subject), (Kind.CLIENT.value, identity.client)):
        public_id = snapshot.access_subjects.get((identity.issuer, kind, value)) if value else None
        if public_id is not None:
            return public_id
    return ""


def _described(identity: Identity) -> str:
    """Who came, and by which client, whichever of them is mapped."""
    client = f"client {identity.client}" if identity.client else ""
    subject = f"subject {identity.subject}" if identity.subject else ""
    return " by ".join(part for part in (subject, client) if part)[:300]


def note_unmapped(identity: Identity, now: dt.datetime) -> None:
    """Operators see that it came. Written at most once a minute a process; the oldest make room."""
    names = {"issuer": identity.issuer, "subject": identity.subject, "client": identity.client}
    digest = hashlib.sha256("\x00".join(names.values()).encode()).hexdigest()
    with _lock:
        last = _noted.get(digest)
        if last is not None and abs(now - last) < EVERY:
            return
        if len(_noted) >= MOST_NOTED:
            _noted.clear()
        _noted[digest] = now
    with transaction.atomic():
        _remember(names, now)


def _remember(names: dict[str, str], now: dt.datetime) -> None:
    with connection.cursor() as cursor:
        # Two at once would each find room for itself.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('tools.unmapped_subjects'))")
    found = UnmappedSubject.objects.filter(**names)
    if not found.update(last_seen_at=now):
        UnmappedSubject.objects.create(**names, first_seen_at=now, last_seen_at=now)
        kept = UnmappedSubject.objects.order_by("-last_seen_at", "-pk").values("pk")[:MOST_KEPT]
        UnmappedSubject.objects.exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()
