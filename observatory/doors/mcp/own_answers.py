"""What this door's own tools answer. They read what the caller may read anyway; nothing runs."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from observatory.action_status import action_of, described
from observatory.doors.mcp.own_tools import FOUND, PIECE_BYTES, RESULT, SEARCH, STATUS, OwnTool
from observatory.kept_results import piece_of, read_kept_result
from observatory.tool_search import found_tools, is_searched
from tools.contract import Stop, deny
from tools.snapshot import KeyView, Snapshot

Answered = Callable[[Mapping[str, Any], KeyView, Snapshot], Mapping[str, Any] | Stop]


def own_answer(
    name: str, arguments: Mapping[str, Any], key: KeyView, snapshot: Snapshot
) -> Mapping[str, Any] | Stop | None:
    """The body, or why there is none. None where this key has no own tool of that name."""
    found = ANSWERS.get(name)
    if found is None or (found[0] is SEARCH and not is_searched(key, snapshot)):
        return None
    tool, answer = found
    return tool.refuses(arguments) or answer(arguments, key, snapshot)


def _status(arguments: Mapping[str, Any], key: KeyView, snapshot: Snapshot) -> Mapping[str, Any] | Stop:
    found = action_of(key, uuid.UUID(arguments["pending_action_id"]), wait_s=arguments.get("wait_s", 0))
    return found if isinstance(found, Stop) else described(found)


def _result(arguments: Mapping[str, Any], key: KeyView, snapshot: Snapshot) -> Mapping[str, Any] | Stop:
    content = read_kept_result(arguments["handle"], key)
    if content is None:
        return deny("not_found", "There is no such result for this key, or it is not kept any more.")
    piece = piece_of(content, int(arguments.get("offset", 0)), int(arguments.get("max_bytes", PIECE_BYTES)))
    return {"handle": arguments["handle"], **piece}


def _found(arguments: Mapping[str, Any], key: KeyView, snapshot: Snapshot) -> Mapping[str, Any] | Stop:
    return {"tools": found_tools(arguments["query"], int(arguments.get("limit", FOUND)), key, snapshot)}


ANSWERS: Mapping[str, tuple[OwnTool, Answered]] = {
    tool.name: (tool, answer) for tool, answer in ((STATUS, _status), (RESULT, _result), (SEARCH, _found))
}
