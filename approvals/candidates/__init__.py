"""Where the two outputs come from that a proposal is scored by. One source a file."""

from collections.abc import Callable, Mapping

from approvals.candidates import caller, demo, model
from approvals.models import CandidateSource
from tools.contract import Stop, ToolCall

Outputs = tuple[str, str] | None

# None where the source has nothing to say of this call; a Stop where it failed.
SOURCES: Mapping[CandidateSource, Callable[[ToolCall], Outputs | Stop]] = {
    CandidateSource.CALLER: caller.outputs,
    CandidateSource.MODEL: model.outputs,
    CandidateSource.DEMO: demo.outputs,
}
