"""To any receiver, signed. Source: the Standard Webhooks specification 1.0 (webhook-id, -timestamp, -signature v1)."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import os
from typing import Any

from telemetry.delivery.letter import TEST, Address, Kind, Letter
from telemetry.delivery.posting import post

PREFIX = "whsec_"
_SECRET_BYTES = 32
TYPES = {Kind.FIRING: "alert.firing", Kind.REPEAT: "alert.still_firing", Kind.RESOLVED: "alert.resolved", TEST: "test"}
_DATA = (
    *("rule", "key", "description", "severity", "labels", "metric", "unit", "comparison", "threshold", "window_s"),
    *("value", "samples", "started_at", "since", "as_of", "why", "environment", "page"),
)


def send(address: Address, letter: Letter) -> str:
    """The receiver has it. Raises NotSent."""
    body = json.dumps(payload_of(letter), separators=(",", ":")).encode()
    secrets = [secret for secret in (address.secret, address.previous) if secret]
    return post(address.url, body, headers_of(letter, body, secrets), now=letter.at)


def payload_of(letter: Letter) -> dict[str, Any]:
    data = {name: letter.message[name] for name in _DATA}
    return {
        "type": TYPES[letter.kind],
        "timestamp": letter.at.astimezone(dt.UTC).isoformat(),
        "data": {"alert": letter.thread, **data},
    }


def headers_of(letter: Letter, body: bytes, secrets: list[str]) -> dict[str, str]:
    """The id is the message's, however often it is sent; the time is this attempt's."""
    timestamp = str(int(letter.at.timestamp()))
    signatures = [signature(secret, letter.id, timestamp, body) for secret in secrets]
    return {
        "webhook-id": letter.id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def signature(secret: str, id_: str, timestamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = b".".join((id_.encode(), timestamp.encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def new_secret() -> str:
    return PREFIX + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()
