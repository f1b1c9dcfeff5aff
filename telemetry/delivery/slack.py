"""To Slack by an incoming webhook, whose address is its secret. Source: Slack API, "Sending messages using incoming
webhooks", "Formatting text for app surfaces" (escaping) and "Blocks"."""

from __future__ import annotations

import json
from typing import Any

from telemetry.delivery.letter import Address, Letter
from telemetry.delivery.posting import post
from telemetry.delivery.wording import facts, headline

# A header block takes 150 characters, a field of a section 2,000, a section ten fields.
_LONGEST_HEADER, _LONGEST_TEXT, _MOST_FIELDS = 150, 2_000, 10


def send(address: Address, letter: Letter) -> str:
    """Slack has it. Raises NotSent."""
    return post(address.secret, json.dumps(payload_of(letter)).encode(), {}, now=letter.at)


def payload_of(letter: Letter) -> dict[str, Any]:
    """`text` is for notifications. No label can mention anybody: the three signs that begin a mention are escaped."""
    title = headline(letter)
    fields = [_mrkdwn(f"*{escaped(name)}*\n{escaped(value)}") for name, value in facts(letter)]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title[:_LONGEST_HEADER], "emoji": False}},
        {"type": "section", "fields": fields[:_MOST_FIELDS]},
    ]
    if description := letter.message["description"]:
        text = {"type": "plain_text", "text": description[:_LONGEST_TEXT], "emoji": False}
        blocks.append({"type": "section", "text": text})
    if page := letter.message["page"]:
        blocks.append({"type": "section", "text": _mrkdwn(f"<{page}|Open the alert>")})
    return {"text": escaped(title), "blocks": blocks}


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text[:_LONGEST_TEXT], "verbatim": True}
