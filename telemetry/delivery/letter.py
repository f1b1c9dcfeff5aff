"""One message on its way: to whom, what, and how it went wrong. Nothing here asks the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from telemetry.models import AlertChannel, AlertNotification

TEST = "test"
Kind = AlertNotification.Kind


@dataclass(frozen=True, slots=True)
class Address:
    """Where a channel leads, with its secrets opened. `previous`: the secret before, while it is still honoured."""

    kind: str
    url: str = ""
    recipients: tuple[str, ...] = ()
    secret: str = ""
    previous: str = ""

    def __repr__(self) -> str:
        return f"Address({self.kind})"


@dataclass(frozen=True, slots=True)
class Letter:
    """`id` stays the same however often it is sent; `thread` names the alert's episode for who is told."""

    id: str
    kind: str
    thread: str
    message: Mapping[str, Any]
    at: dt.datetime

    @property
    def is_over(self) -> bool:
        return self.kind == Kind.RESOLVED


class NotSent(Exception):
    """It did not arrive. `again`: it may later; `after_s`: not before so many seconds, as the receiver asked."""

    def __init__(self, detail: str, *, again: bool, after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.again = again
        self.after_s = after_s


def recipients_of(channel: AlertChannel) -> tuple[str, ...]:
    """Addresses, one a line."""
    return tuple(line.strip() for line in channel.recipients.splitlines() if line.strip())
