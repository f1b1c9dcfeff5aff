"""What an answer, or none, says of whether the tool ran. In doubt it may have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import mcp_types as types

from tools.upstreams.answers import CallAnswer, OutcomeUnknown, Refused, Unreachable
from tools.upstreams.exchange import Exchange, Why

LONGEST_TEXT = 500
MOST_BLOCKS = 10_000
DEEPEST = 40
# Errors that are found before a tool runs. Internal error (-32603) and a server's own codes are not among them.
DID_NOT_RUN = frozenset(
    {
        types.INVALID_REQUEST,
        types.METHOD_NOT_FOUND,
        types.INVALID_PARAMS,
        -32002,  # resource not found; older servers: not initialized
        types.jsonrpc.HEADER_MISMATCH,
        types.jsonrpc.MISSING_REQUIRED_CLIENT_CAPABILITY,
        types.jsonrpc.UNSUPPORTED_PROTOCOL_VERSION,
        types.URL_ELICITATION_REQUIRED,
    }
)
_NOT_READ = "Its answer can't be read."
_TEXTS = {
    "text": ("text",),
    "image": ("data", "mimeType"),
    "audio": ("data", "mimeType"),
    "resource_link": ("uri", "name"),
    "resource": (),
}


class SessionLost(Exception):
    """The upstream forgot the session before it looked at the call: nothing ran."""


Verdict = Unreachable | Refused | OutcomeUnknown | SessionLost


def of_failure(exchange: Exchange) -> Verdict | None:
    """What the transport saw go wrong."""
    failure = exchange.failure
    if failure is None:
        return None
    if failure.why == Why.SESSION_LOST:
        return SessionLost()
    if failure.why in (Why.NOT_CONNECTED, Why.TURNED_AWAY):
        return Unreachable(failure.detail)
    return OutcomeUnknown(failure.why, failure.detail)


def of_error(exchange: Exchange, error: types.ErrorData, broke: Why | None) -> Verdict:
    """What a JSON-RPC error says; the package answers one too where there was none. `broke` is why the connection
    ended, where it did."""
    seen = of_failure(exchange)
    if seen is not None:
        return seen
    if not exchange.written:
        return Unreachable("It ended the connection before it was asked.")
    if broke is not None:
        return OutcomeUnknown(broke, "It ended the connection before it answered.")
    if error.code == types.PARSE_ERROR:
        return OutcomeUnknown(Why.INVALID, _NOT_READ)
    text = error.message[:LONGEST_TEXT]
    if error.code in DID_NOT_RUN:
        return Refused(text)
    return OutcomeUnknown(Why.BROKEN, f"It answered error {error.code}: {text}"[:LONGEST_TEXT])


def answer_of(raw: Mapping[str, Any]) -> CallAnswer:
    """The result of a call, where it is one. Raises OutcomeUnknown."""
    content, structured, is_error = raw.get("content"), raw.get("structuredContent"), raw.get("isError", False)
    if raw.get("resultType", "complete") != "complete":
        raise OutcomeUnknown(Why.INVALID, "It asks for something before it answers, which is not given.")
    if not isinstance(content, list) or not isinstance(is_error, bool):
        raise OutcomeUnknown(Why.INVALID, _NOT_READ)
    if not isinstance(structured, dict | None) or len(content) > MOST_BLOCKS:
        raise OutcomeUnknown(Why.INVALID, _NOT_READ)
    if not all(_is_block(block) for block in content) or not is_plain(raw):
        raise OutcomeUnknown(Why.INVALID, _NOT_READ)
    return CallAnswer(content, structured, is_error)


def is_plain(value: Any) -> bool:
    """JSON that others can read too: not too deep, every number finite."""
    waiting = [(value, 1)]
    while waiting:
        current, depth = waiting.pop()
        if isinstance(current, float) and not math.isfinite(current):
            return False
        if isinstance(current, dict | list):
            if depth > DEEPEST:
                return False
            inner = current.values() if isinstance(current, dict) else current
            waiting += [(each, depth + 1) for each in inner if isinstance(each, dict | list | float)]
    return True


def _is_block(block: Any) -> bool:
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        return False
    needed = _TEXTS.get(block["type"])
    if needed is None:
        return False
    if block["type"] == "resource":
        resource = block.get("resource")
        return isinstance(resource, dict) and isinstance(resource.get("uri"), str)
    return all(isinstance(block.get(name), str) for name in needed)
