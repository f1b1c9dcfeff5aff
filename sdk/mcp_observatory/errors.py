"""What can go wrong with a call, by what the caller can do about it."""

from collections.abc import Mapping, Sequence
from typing import Any


class ObservatoryError(Exception):
    """Every error of this package."""


class ToolCallError(ObservatoryError):
    """A request was refused or failed. `status` is 0 where no HTTP answer came.

    `code` is empty where the answer names none. Codes are the server's reason codes, and three words of our own:
    `not_reachable`, `connection_lost`, `unreadable_answer`. Source: RFC 9457 for the fields.
    """

    def __init__(  # noqa: PLR0913 (the fields of a problem document; positional, so that the error can be pickled)
        self,
        status: int = 0,
        code: str = "",
        title: str = "",
        detail: str = "",
        decision: str = "",
        trace_id: str = "",
        retry_after_s: float | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(status, code, title, detail, decision, trace_id, retry_after_s, errors)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.decision = decision
        self.trace_id = trace_id
        self.retry_after_s = retry_after_s
        self.errors = errors

    def __str__(self) -> str:
        name = " ".join(part for part in (str(self.status or ""), self.code) if part)
        text = self.detail or self.title
        trace = f" (trace {self.trace_id})" if self.trace_id else ""
        return f"{name}: {text}{trace}" if text else f"{name}{trace}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class CommitRefused(ToolCallError):
    """A commit was refused and ran nothing; `code` is the reason, and `commit_id` names the attempt in the records."""

    def __init__(  # noqa: PLR0913 (the fields of a refused commit; positional, so that the error can be pickled)
        self,
        status: int = 0,
        code: str = "",
        title: str = "",
        detail: str = "",
        decision: str = "",
        trace_id: str = "",
        retry_after_s: float | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        commit_id: str = "",
    ) -> None:
        super().__init__(status, code, title, detail, decision, trace_id, retry_after_s, errors)
        self.args = (*self.args, commit_id)
        self.commit_id = commit_id


class NotAuthenticated(ToolCallError):
    """The key is missing, unknown, expired or revoked."""


class Denied(ToolCallError):
    """A rule, a missing scope or a freeze forbids it, or there is no such thing for this key."""


class InvalidArguments(ToolCallError):
    """The arguments do not fit the tool's schema; `errors` names each failing path."""


class Conflict(ToolCallError):
    """The state does not allow it now: still running, decided already, expired, changed since."""


class RateLimited(ToolCallError):
    """A rate is used up; nothing ran. `retry_after_s` says when to come back."""


class Unavailable(ToolCallError):
    """A part that the call needs is down; nothing ran."""


class OutcomeUnknown(ToolCallError):
    """The call may have run. Look before trying again; `__cause__` has the last refusal where there was one."""


class NotReachable(ToolCallError):
    """No answer, and nothing happened: no connection was made, or the request only reads."""


class StillWaiting(ObservatoryError, TimeoutError):
    """The time to wait is over and the action has not ended; `action` is where it stands."""

    def __init__(self, action: Mapping[str, Any]) -> None:
        super().__init__(action)
        self.action = action

    def __str__(self) -> str:
        return f"the action {self.action.get('pending_action_id')} is still {self.action.get('status')}"
