"""A call by whatever name an agent may use: a tool's, or that of one of its two phases. Doors of calls ask here."""

from collections.abc import Mapping
from typing import Any

from approvals.commits import Attempt
from approvals.reading import proposal_id_of
from observatory.committed import CommitAnswer, commit
from observatory.phases import COMMIT_ARGUMENTS, Phase, has_phases, phase_named, split_intent
from observatory.pipeline import invoke
from observatory.session_steps import commit_in_session
from tools.authentication import key_for
from tools.contract import Intent, Outcome, Stop, ToolCall, deny
from tools.scopes import Scope
from tools.snapshot import KeyView, Snapshot, ToolView, current

LONGEST_CANDIDATE = 64 * 1024
Answer = Outcome | CommitAnswer | Stop


def call_by_name(call: ToolCall) -> Answer:
    """The call was answered. A Stop only where what belongs to a phase can't be read; then nothing was asked.

    A name that stands for no phase that this key may use goes on as a tool's, and is refused as any unknown one is.
    """
    named = phase_named(call.tool_name)
    if named is None:
        return invoke(call)
    snapshot = current()
    key, tool = key_for(call.credential, snapshot, call.received_at), snapshot.tools.get(named.tool_name)
    if key is None or tool is None or not _may_use(key, tool, snapshot):
        return invoke(call)
    if named.phase is Phase.COMMIT:
        return _commit_of(call.with_(key=key, snapshot=snapshot, tool=tool), key, snapshot, tool)
    own, described = split_intent(tool, call.arguments)
    intent = intent_of(described)
    if isinstance(intent, Stop):
        return intent
    return invoke(call.with_(tool_name=tool.name, arguments=own, intent=intent))


def _may_use(key: KeyView, tool: ToolView, snapshot: Snapshot) -> bool:
    return Scope.TOOLS_CALL in key.scopes and snapshot.visible(key, tool).visible and has_phases(tool, key, snapshot)


def intent_of(described: Mapping[str, Any]) -> Intent | Stop:
    """The prompt and the two candidate outputs; both may be missing."""
    prompt, outputs = described.get("prompt", ""), described.get("candidate_outputs")
    if not isinstance(prompt, str):
        return deny("invalid_parameter", "prompt is a string.")
    if outputs is None:
        return Intent(prompt)
    if not isinstance(outputs, list) or len(outputs) != 2 or not all(isinstance(text, str) for text in outputs):
        return deny("invalid_parameter", "candidate_outputs are two strings.")
    if any(len(text) > LONGEST_CANDIDATE for text in outputs):
        return deny("too_large", f"A candidate output has at most {LONGEST_CANDIDATE} characters.")
    return Intent(prompt, (outputs[0], outputs[1]))


def _commit_of(call: ToolCall, key: KeyView, snapshot: Snapshot, tool: ToolView) -> CommitAnswer | Stop:
    """The commit, in its session where the call names one."""
    attempt = _attempt(call, key, snapshot, tool)
    if isinstance(attempt, Stop):
        return attempt
    if call.session_id is None:
        return commit(attempt)
    return commit_in_session(call, attempt.proposal_id, lambda: commit(attempt))


def _attempt(call: ToolCall, key: KeyView, snapshot: Snapshot, tool: ToolView) -> Attempt | Stop:
    proposal_id, token = (call.arguments.get(name) for name in COMMIT_ARGUMENTS)
    if not isinstance(proposal_id, str) or not isinstance(token, str):
        return deny("invalid_parameter", "Send proposal_id and commit_token beside the tool's own arguments.")
    return Attempt(
        proposal_id=proposal_id_of(proposal_id),
        token=token,
        arguments={name: value for name, value in call.arguments.items() if name not in COMMIT_ARGUMENTS},
        key=key,
        snapshot=snapshot,
        trace=call.trace,
        now=call.received_at,
        idempotency_key=call.idempotency_key,
        tool_name=tool.name,
    )
