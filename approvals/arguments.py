"""The stored arguments of an action, in full while they are kept, or masked. Bounded by the door that took them.

Canonical bytes can be longer than what was sent (1e15 is written out in 16 digits), and masks longer than what they
replace: nothing that is stored is measured again by the door's own bound.
"""

import json
import logging
from collections.abc import Callable
from typing import Any

from approvals.models import PendingAction
from telemetry.canonical import NotCanonical, parse
from telemetry.encryption import CannotOpen
from telemetry.models import Payload
from telemetry.recorder import open_payload

log = logging.getLogger(__name__)


def full_arguments(action: PendingAction, read: Callable[[Payload], bytes] = open_payload) -> dict[str, Any] | None:
    """What the tool gets; None where it is not kept any more or can't be opened. `read` may record the reading."""
    if action.arguments is None:
        return None
    try:
        content = read(action.arguments)
        found: dict[str, Any] = parse(content, max_bytes=len(content))
    except (CannotOpen, NotCanonical):
        log.exception("the arguments of action %s can't be read", action.pk)
        return None
    return found


def masked_document(args_masked: str) -> dict[str, Any]:
    """As it was stored: `arguments`, and `masked_paths` where something in them was masked."""
    found: dict[str, Any] = json.loads(args_masked)
    return found


def masked_arguments(args_masked: str) -> dict[str, Any]:
    found: dict[str, Any] = masked_document(args_masked)["arguments"]
    return found
