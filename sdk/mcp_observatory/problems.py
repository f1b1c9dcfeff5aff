"""An answer that is not a success becomes the error that says what the caller can do. Source: RFC 9457."""

import json
from collections.abc import Mapping
from typing import Any

from mcp_observatory.connections import Answer
from mcp_observatory.errors import (
    CommitRefused,
    Conflict,
    Denied,
    InvalidArguments,
    NotAuthenticated,
    OutcomeUnknown,
    RateLimited,
    ToolCallError,
    Unavailable,
)

MAY_HAVE_RUN = frozenset({"outcome_unknown", "tool_timeout", "outcome_unrecorded", "tool_failed"})
# 503 is believed only with one of these words: a proxy also answers 503 where it lost the server half-way.
NOTHING_RAN = frozenset(
    {"part_unavailable", "rate_store_unavailable", "database_unavailable", "model_unavailable", "streams_used_up"}
)
# The server's last word on this very call, whatever happened to an earlier attempt with the same idempotency key.
CONCLUSIVE = frozenset(
    {"tool_error", "tool_output_invalid", "tool_unreachable", "egress_refused", "credential_missing"}
)
IN_FLIGHT = "idempotency_in_flight"
_BY_STATUS: Mapping[int, type[ToolCallError]] = {
    401: NotAuthenticated,
    403: Denied,
    404: Denied,
    409: Conflict,
    423: Denied,
    429: RateLimited,
    503: Unavailable,
}


def error_of(answer: Answer, *, acts: bool, secret: str) -> ToolCallError:
    """The error that an answer stands for; `acts` where the request could change something. Holds no `secret`."""
    document = _without(_document(answer.body), secret)
    code = _text(document, "code")
    errors = document.get("errors")
    return _kind(answer.status, code, acts)(
        answer.status,
        code,
        _text(document, "title") or f"HTTP {answer.status}",
        _text(document, "detail"),
        _text(document, "decision"),
        _text(document, "trace_id") or _without(answer.headers.get("x-trace-id", ""), secret),
        _seconds(answer.headers.get("retry-after"), document.get("retry_after_s")),
        [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else [],
    )


def refused_commit(answer: Answer, *, secret: str) -> ToolCallError:
    """The error of a commit that did not succeed. Its refusals are plain JSON; everything else is read as ever."""
    document = _without(_document(answer.body), secret)
    code, commit_id = _text(document, "reason"), _text(document, "commit_id")
    if document.get("status") != "blocked" or not code or not 400 <= answer.status < 500:
        return error_of(answer, acts=True, secret=secret)
    fields = (
        answer.status,
        code,
        "Commit refused",
        _text(document, "detail"),
        "",
        _without(answer.headers.get("x-trace-id", ""), secret),
        _seconds(answer.headers.get("retry-after"), document.get("retry_after_s")),
        (),
    )
    # The server's own doubt stays a doubt, in whichever form it comes.
    return OutcomeUnknown(*fields) if code in MAY_HAVE_RUN else CommitRefused(*fields, commit_id)


def parsed(body: bytes) -> Any:
    """The JSON value. Raises ValueError for everything that is not one."""
    try:
        return json.loads(body, parse_constant=_refused)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refused(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _kind(status: int, code: str, acts: bool) -> type[ToolCallError]:
    if code in MAY_HAVE_RUN:
        return OutcomeUnknown
    if acts and not 300 <= status < 500 and code not in NOTHING_RAN | CONCLUSIVE:
        return OutcomeUnknown
    if code == "denied_schema":
        return InvalidArguments
    return _BY_STATUS.get(status, ToolCallError)


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = parsed(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _without(value: Any, secret: str) -> Any:
    """The value, with the secret blotted out wherever a server repeats it."""
    if isinstance(value, str):
        return value.replace(secret, "[key]")
    if isinstance(value, dict):
        return {_without(name, secret): _without(item, secret) for name, item in value.items()}
    if isinstance(value, list):
        return [_without(item, secret) for item in value]
    return value


def _seconds(header: str | None, fact: Any) -> float | None:
    """What the header asks for, else the fact of the body."""
    told = retry_after_s(header)
    if told is not None:
        return told
    if isinstance(fact, int | float) and not isinstance(fact, bool) and 0 <= fact < 10**9:
        return float(fact)
    return None


def retry_after_s(header: str | None) -> float | None:
    """Retry-After in seconds; its other form, a date, is not read."""
    if header is not None and header.isascii() and header.isdigit() and len(header) <= 9:
        return float(header)
    return None
