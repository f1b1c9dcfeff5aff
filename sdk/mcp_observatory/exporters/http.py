"""Spans to the server's POST /telemetry/spans. Standard library only."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Unpack

from mcp_observatory.connections import Address, Answer, Connections, Lost, NotSent, Request, TooLarge
from mcp_observatory.exporters.background import BackgroundExporter, NotTaken, SendAgain, SendSmaller
from mcp_observatory.exporters.options import Options
from mcp_observatory.problems import parsed, retry_after_s
from mcp_observatory.trace_context import TraceContext
from mcp_observatory.wire import message

MOST_SPANS = 1_000
MOST_BYTES = 4 * 1024 * 1024
# A server that asks for more patience than this is asked again nevertheless.
LONGEST_PAUSE_S = 900.0
PATH = "/telemetry/spans"
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,255}")
# The word that is counted, and what the log says besides.
_FINAL = {
    401: ("not_authenticated", "the key is unknown, expired or revoked"),
    403: ("not_permitted", "the key needs the scope telemetry:write"),
}


class HttpExporter(BackgroundExporter):
    """Sends to the observatory at `base_url`, whose key needs the scope telemetry:write.

    A key that is refused ends it: nothing more is sent, everything is counted, and the log says so once.
    """

    def __init__(
        self, base_url: str, api_key: str, *, timeout_s: float = 10.0, batch_size: int = 500, **options: Unpack[Options]
    ) -> None:
        if not _VISIBLE_ASCII.fullmatch(api_key):
            raise ValueError("api_key is 1 to 255 visible ASCII characters")
        if batch_size > MOST_SPANS:
            raise ValueError(f"batch_size is at most {MOST_SPANS}")
        self._address = Address.of(base_url)
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._connections = Connections(self._address)
        super().__init__(batch_size=batch_size, **options)

    def __repr__(self) -> str:
        return f"HttpExporter({str(self._address)!r})"

    def send(self, spans: Sequence[TraceContext]) -> int:
        body = b'{"spans":[' + b",".join(_json(span) for span in spans) + b"]}"
        if len(body) > MOST_BYTES:
            raise SendSmaller("too_large")
        headers = {
            "Accept": "application/json",
            "Content-Encoding": "gzip",
            "Content-Type": "application/json",
            "User-Agent": "mcp-observatory-python/1",
            "X-API-Key": self._api_key,
        }
        packed = gzip.compress(body, compresslevel=3, mtime=0)
        try:
            answer = self._connections.exchange(
                Request("POST", PATH, headers, packed, self.time_left_s(self._timeout_s))
            )
        except (NotSent, Lost) as why:
            # What was lost may have arrived: the server knows a span by its ids, and counts it once.
            raise SendAgain(str(why)) from None
        except TooLarge:
            return 0
        return self._refused(answer, len(spans))

    def disconnect(self) -> None:
        self._connections.close()

    def _refused(self, answer: Answer, count: int) -> int:
        """How many of the spans the server refused. Raises what else there is to do."""
        status = answer.status
        if 200 <= status < 300 or status == 422:
            codes = _codes(answer)
            if codes:
                told = ", ".join(f"{code} ({times})" for code, times in codes.most_common(5))
                self.warn_once("refused", "the observatory refused spans: %s", told)
            return count if status == 422 else min(count, codes.total())
        if status in _FINAL:
            reason, why = _FINAL[status]
            self.warn_once(reason, "spans are not taken: %s; %s", reason, why)
            raise NotTaken(reason, final=True)
        if status == 413:
            raise SendSmaller("too_large")
        if status in (408, 425, 429) or status >= 500:
            told_s = retry_after_s(answer.headers.get("retry-after")) or 0.0
            raise SendAgain(f"HTTP {status}", min(told_s, LONGEST_PAUSE_S))
        raise NotTaken(f"http_{status}")


def _json(span: TraceContext) -> bytes:
    return json.dumps(message(span), allow_nan=False, separators=(",", ":")).encode()


def _codes(answer: Answer) -> Counter[str]:
    """The reasons of the spans that were refused, and how often each; never their details, which repeat values."""
    try:
        body = parsed(answer.body)
    except ValueError:
        return Counter()
    rejected: Any = body.get("rejected") if isinstance(body, dict) else None
    if not isinstance(rejected, list):
        return Counter()
    return Counter(str(item.get("code"))[:40] if isinstance(item, dict) else "unnamed" for item in rejected)
