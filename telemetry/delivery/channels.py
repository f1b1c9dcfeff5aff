"""Each kind of channel: how it is sent through, and how its secrets are kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

from telemetry.delivery import email, pagerduty, slack, webhook
from telemetry.delivery.letter import Address, Letter, NotSent, recipients_of
from telemetry.encryption import CannotOpen, open_sealed, seal
from telemetry.models import AlertChannel

SEALED_FOR = "alert_channel"
Kind = AlertChannel.Kind
SEND: Mapping[str, Callable[[Address, Letter], str]] = {
    Kind.EMAIL: email.send,
    Kind.SLACK: slack.send,
    Kind.WEBHOOK: webhook.send,
    Kind.PAGERDUTY: pagerduty.send,
}


def deliver(address: Address, letter: Letter) -> str:
    """The receiver has it; its answer in a few words. Raises NotSent. Asks no database."""
    return SEND[address.kind](address, letter)


def sealed(channel: AlertChannel, secret: str) -> bytes:
    """The secret as it is stored, bound to its row."""
    return seal(secret.encode(), purpose=SEALED_FOR, context=str(channel.pk))


def address_of(channel: AlertChannel, now: dt.datetime) -> Address:
    """Raises NotSent where the stored secret can't be opened: no key of ours sealed it."""
    try:
        secret = _opened(channel, channel.sealed_secret)
        is_rotating = channel.previous_until is not None and now < channel.previous_until
        previous = _opened(channel, channel.sealed_previous) if is_rotating else ""
    except CannotOpen as error:
        raise NotSent(f"The channel's stored secret can't be opened ({error.reason}).", again=False) from None
    return Address(channel.kind, channel.url, recipients_of(channel), secret, previous)


def _opened(channel: AlertChannel, stored: bytes | memoryview | None) -> str:
    if stored is None:
        return ""
    return open_sealed(bytes(stored), purpose=SEALED_FOR, context=str(channel.pk)).decode()
