"""T_propose and T_commit, called like tools: flat arguments in, the answers of the proposals' doors out."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from observatory.doors.key_authentication import credential_of
from observatory.doors.problem import Refusal
from observatory.doors.proposals import answer_commit, intent_of, propose
from observatory.phases import COMMIT_ARGUMENTS, Phase, has_phases, phase_named, split_intent
from tools.authentication import key_for
from tools.scopes import Scope
from tools.snapshot import KeyView, Snapshot, ToolView, current


def answer_phase(request: Request, name: str, arguments: dict[str, Any]) -> Response | None:
    """The answer of the phase that this name stands for; None where it stands for none that this key may use.

    What is None goes on as the call of a tool by this name, which is refused as any unknown one is.
    """
    named = phase_named(name)
    if named is None:
        return None
    snapshot = current()
    key, tool = key_for(credential_of(request), snapshot, timezone.now()), snapshot.tools.get(named.tool_name)
    if key is None or Scope.TOOLS_CALL not in key.scopes or tool is None:
        return None
    if not snapshot.visible(key, tool).visible or not has_phases(tool, key, snapshot):
        return None
    if named.phase is Phase.PROPOSE:
        own, intent = split_intent(tool, arguments)
        return propose(request, tool.name, own, intent_of(intent))
    return _committed(request, key, snapshot, tool, arguments)


def _committed(
    request: Request, key: KeyView, snapshot: Snapshot, tool: ToolView, arguments: dict[str, Any]
) -> Response:
    own = {name: value for name, value in arguments.items() if name not in COMMIT_ARGUMENTS}
    proposal_id, token = arguments.get("proposal_id"), arguments.get("commit_token")
    if not isinstance(proposal_id, str) or not isinstance(token, str):
        raise Refusal("invalid_parameter", "Send proposal_id and commit_token beside the tool's own arguments.")
    return answer_commit(request, key, snapshot, proposal_id, token, own, tool_name=tool.name)
