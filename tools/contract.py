"""The types that a call is made of on its way through the stages. No Django models, no I/O."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from telemetry.child_spans import ChildSpans
from tools.reasons import Reason, reason

if TYPE_CHECKING:
    from telemetry.guardrails import Signal
    from telemetry.models import Session, Step
    from telemetry.sessions import BegunStep, Said
    from telemetry.trace_context import TraceContext
    from tools.cancellation import Cancellation
    from tools.policy.evaluator import Decision
    from tools.snapshot import KeyView, Snapshot, ToolView


# Done so far, of how much (None where that is not known), and a word for people. Raises nothing, never waits long.
Progress = Callable[[float, float | None, str], None]


class Door(StrEnum):
    """How a call came in."""

    REST = "rest"
    MCP = "mcp"
    SESSION = "session"
    APPROVAL = "approval"
    COMMIT = "commit"


class Verdict(StrEnum):
    DENY = "deny"
    HOLD = "hold"
    REPLAY = "replay"
    PROPOSE = "propose"


@dataclass(frozen=True, slots=True)
class Intent:
    """A call that is only proposed: the prompt it came of, and two outputs of a model for it, where there are any."""

    prompt: str = ""
    candidate_outputs: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Permit:
    """What lets a call through the risk gate: an approval or a spent commit token. Made only by approvals."""

    kind: Door
    action_id: str
    policy_revision_id: int
    tool_version_id: int
    args_digest: str
    fence: int


@dataclass(slots=True)
class InSession:
    """A call's place in a session, shared by every copy of the call. `said` is what the door knows beside the call."""

    said: Said | None = None
    session: Session | None = None
    begun: BegunStep | None = None
    # As it was recorded.
    ended: Step | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call on its way. A stage answers a new one with what it found out; nothing is changed in place."""

    tool_name: str
    arguments: Mapping[str, Any]
    door: Door
    trace: TraceContext
    received_at: dt.datetime
    credential: str | None = field(default=None, repr=False)
    # Whose call it is where no credential travels (an approved action, "may it?"); never set from a request.
    identified_as: str = ""
    address: str = ""
    idempotency_key: str | None = None
    session_id: str | None = None
    confirm: bool = False
    permit: Permit | None = None
    # The call is proposed, not made: it ends at the risk gate.
    intent: Intent | None = None
    # The proposal that is committed by this; what idempotency keys of commits name besides the arguments.
    proposal_id: str = ""
    # Who is told how far a running call is, and whether its caller has taken it back.
    progress: Progress | None = field(default=None, repr=False, compare=False)
    cancellation: Cancellation | None = field(default=None, repr=False, compare=False)
    # What goes out for this call, wherever it is asked from.
    children: ChildSpans = field(default_factory=ChildSpans, repr=False, compare=False)
    # Its session and its step there, where it names one, and what detectors said of it: found by the stages, and kept
    # for whichever copy of the call is recorded.
    in_session: InSession = field(default_factory=InSession, repr=False, compare=False)
    signals: list[Signal] = field(default_factory=list, repr=False, compare=False)
    # found out by the stages
    canonical: bytes = b""
    digest: str = ""
    snapshot: Snapshot | None = None
    key: KeyView | None = None
    tool: ToolView | None = None
    decision: Decision | None = None
    confirmed_by_key: bool = False

    def with_(self, **found: Any) -> ToolCall:
        return replace(self, **found)


@dataclass(frozen=True, slots=True)
class Pass:
    call: ToolCall
    note: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """The call goes no further. `facts` is what the door adds to the answer; never a secret.

    `record` is written in the transaction that records the stop, and answers more facts.
    """

    verdict: Verdict
    code: str
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    call: ToolCall | None = None
    record: Callable[[], Mapping[str, Any]] | None = None
    # Nobody is known who asked: it is counted, and not written down one by one.
    is_unproven: bool = False

    @property
    def reason(self) -> Reason:
        return reason(self.code)


def deny(code: str, detail: str = "", call: ToolCall | None = None, **facts: Any) -> Stop:
    return Stop(Verdict.DENY, code, detail, facts, call)


class Stage(ABC):
    """One question asked of every call. `check` may count and record; `explain` answers the same and has no effect."""

    name: ClassVar[str]

    @abstractmethod
    def check(self, call: ToolCall) -> Pass | Stop: ...

    def explain(self, call: ToolCall) -> Pass | Stop:
        return self.check(call)


class Ran(StrEnum):
    """Whether the tool's effect happened, as far as is known."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Execution:
    """What an executor answers: the tool's output, or why there is none."""

    code: str
    ran: Ran
    output: Any = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the door answers. `body` is the JSON object for the agent; `reason` says how it came about."""

    reason: Reason
    body: Mapping[str, Any]
    trace: TraceContext
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    replayed: bool = False
    stage: str = ""
    call: ToolCall | None = None

    @property
    def is_answer(self) -> bool:
        """True where the body is the tool's own answer (done, held, dry, replayed), not a problem document."""
        return self.reason.status < 300
