"""`tools/call`: the call by its name goes through the one door, and what it came to is a tool result."""

from typing import Any

from mcp_types import INVALID_PARAMS

from observatory.calling import Answer, call_by_name
from observatory.doors.mcp.capabilities import declares_tasks, shows_forms
from observatory.doors.mcp.confirmation import answered_question, question_instead
from observatory.doors.mcp.messages import Message, RpcError
from observatory.doors.mcp.own_answers import own_answer
from observatory.doors.mcp.own_tools import CALL
from observatory.doors.mcp.tasks import created, waiting_action
from observatory.doors.mcp.tool_listing import NAMESPACE
from observatory.doors.mcp.tool_results import result, result_of, stopped
from observatory.tool_search import is_searched
from tools.contract import Stop, ToolCall
from tools.snapshot import KeyView, Snapshot

IDEMPOTENCY_KEY, SESSION_ID = NAMESPACE + "idempotencyKey", NAMESPACE + "sessionId"


def text_in_meta(message: Message, name: str, header: str = "") -> str | None:
    """A word that travels beside the arguments: in `_meta`, or in the header of that name. Raises RpcError."""
    found = message.meta.get(name)
    if found is None:
        return message.headers.get(header) if header else None
    if not isinstance(found, str):
        raise RpcError(INVALID_PARAMS, f"_meta {name} is a string.")
    return found


def called(call: ToolCall, message: Message, key: KeyView, snapshot: Snapshot) -> dict[str, Any]:
    """Shape: MCP's CallToolResult, or what stands for it while the call waits. Raises RpcError for no such tool."""
    if (own := own_answer(call.tool_name, call.arguments, key, snapshot)) is not None:
        return stopped(own, call.trace) if isinstance(own, Stop) else result(own, call.trace)
    if call.tool_name == CALL.name and is_searched(key, snapshot):
        if (refusal := CALL.refuses(call.arguments)) is not None:
            return stopped(refusal, call.trace)
        call = call.with_(tool_name=call.arguments["name"], arguments=call.arguments.get("arguments", {}))
    state = message.params.get("requestState") if message.stateless else None
    if state is not None:
        return answered_question(state, call, message, key, snapshot)
    answer = call_by_name(call)
    return _while_it_waits(answer, call, message, key) or result_of(answer, call.trace)


def _while_it_waits(answer: Answer, call: ToolCall, message: Message, key: KeyView) -> dict[str, Any] | None:
    """What a client that can do more than ask observatory.status is answered while a person decides."""
    can_do_more = shows_forms(message) or declares_tasks(message)
    action = waiting_action(answer, key) if can_do_more else None
    if action is None:
        return None
    return question_instead(action, call, message, key) or (created(action) if declares_tasks(message) else None)
