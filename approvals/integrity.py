"""What a proposal is scored by, as the settings of its tool say, and what comes of it."""

from dataclasses import dataclass

from django.conf import settings

from approvals.candidates import SOURCES, model
from approvals.models import CandidateSource, IntegritySettings, PromptBaseline, Proposal
from approvals.scoring import Signals, Weights, composite_score, is_blocked, prompt_hash, signals_of
from tools.contract import Stop, ToolCall, deny
from tools.models import Tool


@dataclass(frozen=True, slots=True)
class Assessment:
    """A proposal's score with everything that made it. `composite_score` is None where no signal was present."""

    signals: Signals
    composite_score: float | None
    blocked: bool
    weights: Weights
    block_at: float
    commit_within_s: int
    source: Proposal.Source
    outputs: tuple[str, str] | None
    prompt_hash: str
    baseline_id: int | None


def assess(call: ToolCall) -> Assessment | Stop:
    """The proposal is scored; nothing is stored. Two queries, then perhaps the model endpoint, without a connection.

    Stops: candidates_refused, model_unavailable.
    """
    assert call.intent and call.tool
    chosen = IntegritySettings.objects.filter(tool_id=call.tool.id).first() or IntegritySettings(tool_id=call.tool.id)
    baseline = PromptBaseline.objects.in_force().filter(tool_id=call.tool.id).first()
    source = source_of(chosen.candidate_source, call.tool.risk, sent=call.intent.candidate_outputs is not None)
    if call.intent.candidate_outputs is not None and source != CandidateSource.CALLER:
        return deny("candidates_refused", "Send the proposal without candidate_outputs.", call)
    outputs = SOURCES[source](call) if source else None
    if isinstance(outputs, Stop):
        return outputs
    digest = prompt_hash(call.intent.prompt)
    signals = signals_of(outputs, digest, baseline.prompt_hash if baseline else None)
    weights = weights_of(chosen)
    score = score_for(call.tool.risk, signals, weights)
    return Assessment(
        signals=signals,
        composite_score=score,
        blocked=is_blocked(score, chosen.block_at),
        weights=weights,
        block_at=chosen.block_at,
        commit_within_s=chosen.commit_within_s,
        source=Proposal.Source(source) if source and outputs else Proposal.Source.NONE,
        outputs=outputs,
        prompt_hash=digest,
        baseline_id=baseline.pk if baseline else None,
    )


def source_of(chosen: str, risk: str, *, sent: bool) -> CandidateSource | None:
    """Who is asked for outputs. What the operator chose stands; it is never replaced by something weaker."""
    may_send = not needs_outputs(risk)
    if chosen == CandidateSource.CALLER:
        return CandidateSource.CALLER if may_send else None
    if chosen == CandidateSource.MODEL:
        # Where no endpoint is configured it answers a Stop, aloud.
        return CandidateSource.MODEL
    if chosen == CandidateSource.DEMO:
        return CandidateSource.DEMO if settings.DEMO else None
    if sent and may_send:
        return CandidateSource.CALLER
    if model.is_configured():
        return CandidateSource.MODEL
    return CandidateSource.DEMO if settings.DEMO else None


def score_for(risk: str, signals: Signals, weights: Weights) -> float | None:
    """The score of a proposal for a tool of this risk, here. None, which blocks it, where nothing tells enough.

    An agent knows the approved prompt: that it repeats it is no ground to let a high-risk call pass.
    """
    if needs_outputs(risk) and signals.output_instability is None:
        return None
    return composite_score(signals, weights)


def needs_outputs(risk: str) -> bool:
    """Two outputs that are not the caller's own are what such a proposal is scored by, or it is blocked."""
    return risk == Tool.Risk.HIGH and not settings.DEMO


def weights_of(chosen: IntegritySettings) -> Weights:
    return Weights(chosen.output_instability_weight, chosen.numeric_variance_weight, chosen.prompt_drift_weight)
