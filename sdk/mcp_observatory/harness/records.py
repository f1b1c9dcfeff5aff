"""What a run of an agent leaves: a session, its steps, the tools it saw, and what detectors said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum, StrEnum
from typing import Any, Self

from mcp_observatory.guards.redaction import mask_credentials
from mcp_observatory.guards.session_policy import Network

LONGEST_TEXT = 200


class Channel(StrEnum):
    """Between whom a step passes."""

    USER_TO_LLM = "user_to_llm"
    LLM_TO_TOOL = "llm_to_tool"
    TOOL_TO_LLM = "tool_to_llm"


class StepDecision(StrEnum):
    """What became of a step: the four of the seed's harness, then the server's finer words."""

    OK = "ok"
    DENIED_SCHEMA = "denied_schema"
    DENIED_POLICY = "denied_policy"
    ERROR = "error"
    HELD = "held"
    DRY_RUN = "dry_run"
    REPLAYED = "replayed"
    DENIED_KEY = "denied_key"
    DENIED_RATE = "denied_rate"
    DENIED_FROZEN = "denied_frozen"
    DENIED_REQUEST = "denied_request"
    DENIED_STATE = "denied_state"
    PROPOSED = "proposed"

    @classmethod
    def read(cls, word: object) -> Self:
        """A word of a newer server is an error here: nobody should go on as if the step were well."""
        return cls(word) if isinstance(word, str) and word in cls._value2member_map_ else cls("error")


@dataclass(frozen=True, slots=True)
class MCPTool:
    """A tool as it was listed. `input_schema` is empty where it has none."""

    name: str
    description: str = ""
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)
    network: Network = "undeclared"

    @property
    def words(self) -> str:
        """What its listing says to a model."""
        return "\n".join(part for part in (self.name, self.description) if part)


@dataclass(frozen=True, slots=True)
class SignalResult:
    """What a detector said of one text. `violated`: the score is above the threshold, or there is none because it could
    not say; `denies`: and for this the step was stopped.

    `kinds` are the names of what was found and how often, never the text. A reused one cost nothing.
    """

    provider: str
    metric: str
    stage: str
    score: float | None
    threshold: float | None
    violated: bool
    denies: bool = False
    kinds: Mapping[str, int] = field(default_factory=dict)
    fingerprint: str = ""
    reused: bool = False
    reason: str = ""

    @classmethod
    def read(cls, given: object) -> Self:
        """The signal of a server's answer; what is missing or of another type is as if nothing were known."""
        found = given if isinstance(given, Mapping) else {}
        return cls(
            provider=text_of(found.get("provider")),
            metric=text_of(found.get("metric")),
            stage=text_of(found.get("stage")),
            score=number_of(found.get("score")),
            threshold=number_of(found.get("threshold")),
            violated=found.get("violated") is True,
            denies=found.get("denies") is True,
            kinds=mapping_of(found.get("kinds")),
            fingerprint=text_of(found.get("fingerprint")),
            reused=found.get("reused") is True,
            reason=text_of(found.get("reason")),
        )


@dataclass(frozen=True, slots=True)
class PreflightResult:
    """What was found before the first step. Not passed: the session's guardrails deny it."""

    passed: bool
    signals: tuple[SignalResult, ...] = ()
    reason: str = ""

    @property
    def violations(self) -> list[SignalResult]:
        return [signal for signal in self.signals if signal.violated]


@dataclass(slots=True)
class MCPStep:
    """One unit of a session. Texts and arguments are masked and cut, but for `output`: the tool's whole answer, for
    the caller, and in no record.

    Units: USD for `cost_est`, None where the model has no known price.
    """

    step_id: str
    role: str
    input_text: str
    selected_tool: str | None = None
    tool_args: dict[str, Any] | None = None
    output_text: str | None = None
    error: str | None = None
    decision: StepDecision = StepDecision.OK
    channel: Channel = Channel.USER_TO_LLM
    latency_ms: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_est: float | None = None
    guardrail_signals: list[SignalResult] = field(default_factory=list)
    reused_fingerprints: list[str] = field(default_factory=list)
    number: int = 0
    reason: str | None = None
    rule: str | None = None
    dry_run: bool = False
    token_source: str | None = None
    masked_paths: list[str] = field(default_factory=list)
    pending_action_id: str | None = None
    trace_id: str | None = None
    output: Any = field(default=None, repr=False)

    @property
    def violations(self) -> list[SignalResult]:
        return [signal for signal in self.guardrail_signals if signal.violated]

    def to_dict(self) -> dict[str, Any]:
        """The step as JSON takes it, without `output`."""
        found = {name: plain(getattr(self, name)) for name in self.__slots__ if name != "output"}
        return found | {"violations": plain(self.violations)}


@dataclass(slots=True)
class MCPSession:
    """One run, its configuration as it was at the start, and what its steps add up to.

    Units: USD for `total_cost_est`, of the steps whose cost is known. `steps_refused` were asked for beyond
    `max_steps`, and are not among `steps`. `reports_lost` is how many steps the observatory was not told of.
    """

    session_id: str
    model: str
    rules_hash: str
    steps: list[MCPStep] = field(default_factory=list)
    tools_discovered: list[MCPTool] = field(default_factory=list, repr=False)
    total_latency_ms: float = 0.0
    total_tokens_in: int = 0
    total_tokens_out: int = 0
    total_cost_est: float = 0.0
    preflight_result: PreflightResult | None = None
    session_violations: list[SignalResult] = field(default_factory=list)
    status: str = "open"
    provider: str | None = None
    policy: dict[str, Any] = field(default_factory=dict)
    guardrails: dict[str, Any] = field(default_factory=dict)
    max_steps: int | None = None
    steps_refused: int = 0
    reports_lost: int = 0

    @property
    def is_open(self) -> bool:
        return self.status == "open"

    def to_dict(self) -> dict[str, Any]:
        """The session as JSON takes it."""
        found = {name: plain(getattr(self, name)) for name in self.__slots__ if name != "steps"}
        return found | {"steps": [step.to_dict() for step in self.steps]}


def plain(value: Any) -> Any:
    """The value in the types of JSON."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PreflightResult):
        return plain(asdict(value)) | {"violations": plain(value.violations)}
    if isinstance(value, MCPTool):
        # A description is somebody else's text, and a schema is no use with masks in it.
        return plain(asdict(value)) | {"description": mask_credentials(value.description)}
    if isinstance(value, SignalResult):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def number_of(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def mapping_of(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def list_of(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
