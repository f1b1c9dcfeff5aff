"""When a request is sent again. Never where it could make something happen twice."""

import enum
from collections.abc import Callable
from dataclasses import dataclass

from mcp_observatory.errors import NotReachable, OutcomeUnknown, RateLimited, ToolCallError
from mcp_observatory.problems import CONCLUSIVE, IN_FLIGHT, MAY_HAVE_RUN, NOTHING_RAN

# A server that asks for more patience than this gets none: the caller is told, and decides.
LONGEST_PAUSE_S = 30.0
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 8.0
_GATEWAY_STATUSES = frozenset({502, 503, 504})


class Repeat(enum.Enum):
    """How far a request may be sent again. Each also where no connection was made."""

    READS = "changes nothing, so always"
    KEYED = "the idempotency key lets it run once, so also after the connection was lost"
    UNKEYED = "only where the server says that nothing ran"
    NEVER = "no refusal says that nothing changed"

    @classmethod
    def of(cls, idempotency_key: str | None) -> "Repeat":
        """How far a call with this key, or with none, may be sent again."""
        return cls.UNKEYED if idempotency_key is None else cls.KEYED

    @property
    def acts(self) -> bool:
        return self is not Repeat.READS


@dataclass(frozen=True, slots=True)
class Patience:
    """`sleep` waits that many seconds; `random` answers at least 0 and under 1."""

    retries: int
    sleep: Callable[[float], object]
    random: Callable[[], float]

    def wait(self, error: ToolCallError, repeat: Repeat, attempt: int) -> bool:
        """True after the pause, where the request is to be sent again; `attempt` counts from 0."""
        if attempt >= self.retries or not _is_safe(error, repeat):
            return False
        backoff = self.random() * min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0**attempt)
        if error.retry_after_s is not None and error.retry_after_s > LONGEST_PAUSE_S:
            return False
        # Never earlier than told; the jitter keeps callers that were told the same from coming back together.
        self.sleep((error.retry_after_s or 0.0) + backoff)
        return True


def _is_safe(error: ToolCallError, repeat: Repeat) -> bool:
    if isinstance(error, NotReachable):
        return True
    if repeat is Repeat.NEVER:
        return False
    if isinstance(error, RateLimited) or (error.status == 503 and error.code in NOTHING_RAN):
        return True
    if repeat is Repeat.READS:
        return error.status in _GATEWAY_STATUSES
    if repeat is Repeat.KEYED:
        return error.code == IN_FLIGHT or leaves_doubt(error)
    return False


def leaves_doubt(error: ToolCallError) -> bool:
    """The call may have run, and nobody who knows has said whether. The server's own "unknown" is final."""
    unread = error.code == "unreadable_answer"
    return isinstance(error, OutcomeUnknown) and error.code not in MAY_HAVE_RUN and not unread


def last_word(error: ToolCallError, *, in_doubt: bool, replayed: bool) -> ToolCallError:
    """The error to raise. A refusal of a later attempt says nothing about an earlier one whose answer was lost."""
    if not in_doubt or replayed or isinstance(error, OutcomeUnknown) or error.code in CONCLUSIVE:
        return error
    unknown = OutcomeUnknown(
        0,
        "connection_lost",
        "Outcome unknown",
        f"An attempt got no answer and may have run; a later one was refused ({error.code or error.status}).",
        trace_id=error.trace_id,
        retry_after_s=error.retry_after_s,
    )
    unknown.__cause__ = error
    return unknown
