"""To PagerDuty: one incident an episode. Source: PagerDuty, "Events API v2 Overview" and "Send an Alert Event"."""

from __future__ import annotations

import json
from typing import Any

from telemetry.delivery.letter import Address, Letter
from telemetry.delivery.posting import post
from telemetry.delivery.wording import headline, named_labels

URL = "https://events.pagerduty.com/v2/enqueue"
EU_URL = "https://events.eu.pagerduty.com/v2/enqueue"
_SEVERITIES = {"info": "info", "warning": "warning", "critical": "critical"}
_LONGEST_SUMMARY = 1024


def send(address: Address, letter: Letter) -> str:
    """PagerDuty has taken it. Raises NotSent."""
    payload = payload_of(letter, address.secret)
    return post(address.url or URL, json.dumps(payload).encode(), {}, now=letter.at)


def payload_of(letter: Letter, routing_key: str) -> dict[str, Any]:
    """A repetition triggers the same incident again; PagerDuty adds it to its log."""
    message = letter.message
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "resolve" if letter.is_over else "trigger",
        "dedup_key": letter.thread,
    }
    if letter.is_over:
        return event
    labels = dict(named_labels(message))
    event["client"] = "MCP Observatory"
    event["payload"] = {
        "summary": headline(letter)[:_LONGEST_SUMMARY],
        "source": labels.get("service") or message["environment"] or "mcp-observatory",
        "severity": _SEVERITIES.get(message["severity"], "warning"),
        "timestamp": message["since"] or letter.at.isoformat(),
        "component": labels.get("tool") or labels.get("model") or "",
        "class": message["metric"],
        "custom_details": {
            name: message[name]
            for name in ("value", "threshold", "comparison", "unit", "samples", "as_of", "labels", "description", "key")
        },
    }
    if message["page"]:
        event["client_url"] = message["page"]
    return event
