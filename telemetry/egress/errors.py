"""Why a request brought no answer, and whether it may have reached the peer."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum


class Kind(StrEnum):
    BAD_URL = "bad_url"
    REFUSED_ADDRESS = "refused_address"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    REDIRECT_REFUSED = "redirect_refused"
    BAD_RESPONSE = "bad_response"


class EgressError(Exception):
    """No answer. With `written` False nothing of the request left, so nothing ran; else it may have run.

    `detail` names at most the host and its address; never the path, the query, a header or a body.
    """

    def __init__(self, kind: Kind, detail: str, *, written: bool = False) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail
        self.written = written


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, as chained or as wrapped by a library."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        cause = waiting.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__, *(arg for arg in cause.args if isinstance(arg, BaseException))]
