"""A result that was cut is kept whole for a while, for the agent whose call it was. One act, whichever door asks."""

import uuid
from typing import Any

from django.utils import timezone

from telemetry.encryption import CannotOpen
from telemetry.models import Payload
from telemetry.recorder import Subject, show_payload
from tools.snapshot import KeyView


def read_kept_result(handle: str, key: KeyView) -> bytes | None:
    """The whole result as JSON, and that it was read is on record; None for one that is not this agent's to read."""
    try:
        wanted = uuid.UUID(handle)
    except ValueError:
        return None
    kept = Payload.objects.filter(
        pk=wanted, purpose=Payload.Purpose.OVERFLOW, holder=key.agent_name, expires_at__gt=timezone.now()
    ).first()
    if kept is None:
        return None
    try:
        return show_payload(kept, key.actor, Subject("payload", str(kept.pk), "result"))
    except CannotOpen:
        return None


def piece_of(content: bytes, offset: int, most_bytes: int) -> dict[str, Any]:
    """Shape: text, offset, next_offset (null at the end), size_bytes. Units: bytes. Cut between characters.

    An offset inside a character moves to its end.
    """
    size = len(content)
    start = _border(content, min(offset, size), step=1)
    end = _border(content, min(start + most_bytes, size), step=-1)
    return {
        "offset": start,
        "text": content[start:end].decode(),
        "next_offset": end if end < size else None,
        "size_bytes": size,
    }


def _border(content: bytes, at: int, *, step: int) -> int:
    """The next place from here that is not inside a character of UTF-8."""
    while at < len(content) and content[at] & 0b1100_0000 == 0b1000_0000:
        at += step
    return at
