"""A message posted over HTTP by the one way out, and what an answer means: arrived, again later, or never."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from telemetry.delivery.letter import NotSent
from telemetry.egress import EgressError, Kind, Response, request
from telemetry.redaction import redact_text
from telemetry.visible import visible

TIMEOUT_S = 10.0
# Request Timeout, Too Many Requests; and whatever is the receiver's own fault.
_AGAIN = frozenset({408, 429})
_NEVER = frozenset({Kind.BAD_URL, Kind.REFUSED_ADDRESS, Kind.REDIRECT_REFUSED, Kind.TOO_LARGE})
_LONGEST_ANSWER = 16_384
_SHOWN = 120


def post(url: str, body: bytes, headers: Mapping[str, str], *, now: dt.datetime) -> str:
    """The answer in a few words. Raises NotSent."""
    try:
        answer = request(
            "POST",
            url,
            headers={"Content-Type": "application/json", **headers},
            body=body,
            timeout_s=TIMEOUT_S,
            max_bytes=_LONGEST_ANSWER,
        )
    except EgressError as error:
        raise NotSent(error.detail, again=error.kind not in _NEVER) from None
    said = f"It answered {answer.status}: {shown(answer)}" if answer.body else f"It answered {answer.status}."
    if 200 <= answer.status < 300:
        return said
    again = answer.status in _AGAIN or answer.status >= 500
    raise NotSent(said, again=again, after_s=_retry_after(answer, now) if again else None)


def shown(answer: Response) -> str:
    """The beginning of an answer as an operator may see it."""
    return visible(redact_text(answer.body.decode("utf-8", "replace"), _SHOWN))


def _retry_after(answer: Response, now: dt.datetime) -> float | None:
    """Seconds to wait, from seconds or a date. Source: RFC 9110, 10.2.3."""
    given = answer.headers.get("Retry-After", "").strip()
    if given.isascii() and given.isdigit():
        return float(given[:9])
    try:
        moment = parsedate_to_datetime(given)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return max((moment - now).total_seconds(), 0.0)
