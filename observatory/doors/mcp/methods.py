"""Every method that this door answers, in a table. What is not in it, or not of the caller's version, is not found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp.shared.inbound import InboundLadderRejection, validate_mcp_param_headers
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, SERVER_INFO_META_KEY, methods
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from observatory.doors.mcp import task_wire, tasks
from observatory.doors.mcp.capabilities import TASKS
from observatory.doors.mcp.messages import Message, RpcError
from observatory.doors.mcp.tool_calls import called
from observatory.doors.mcp.tool_listing import tools_of
from observatory.version import VERSION
from tools.contract import ToolCall
from tools.snapshot import KeyView, Snapshot

SERVER_INFO = {"name": "mcp-observatory", "title": "MCP Observatory", "version": VERSION}
INSTRUCTIONS = (
    "Some calls wait for a person: their result has status pending_approval and a pending_action_id; ask "
    "observatory.status with it. Some tools run in two phases: call <tool>_propose, then <tool>_commit with the "
    "proposal_id and commit_token that it answered. A result with isError holds a problem document with a stable code. "
    "One that is cut has a handle: observatory.result reads the rest. Where observatory.search_tools is listed, other "
    "tools are not: find them with it, and call them with observatory.call_tool."
)
LIST_TTL_MS = 5_000
# The list differs by key, never by connection. In the handshake era nobody is told of a change: that would take a
# stream for each client, which most open and few need. In the stateless era whoever wants to know subscribes.
HANDSHAKE_CAPABILITIES: Mapping[str, Any] = {"tools": {"listChanged": False}}
CAPABILITIES: Mapping[str, Any] = {"tools": {"listChanged": True}}
EXTENSIONS: Mapping[str, Any] = {TASKS: {}}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is, and how a tool call of theirs begins."""

    key: KeyView
    snapshot: Snapshot
    begin: Callable[[str, Mapping[str, Any]], ToolCall]


Method = Callable[[Message, Caller], Mapping[str, Any]]


def answer(message: Message, caller: Caller) -> dict[str, Any]:
    """The result as the caller's version of the protocol writes it. Raises RpcError."""
    method = METHODS.get(message.method)
    try:
        methods.validate_client_request(message.method, message.version, message.params, surface=task_wire.REQUESTS)
    except ValidationError:
        raise RpcError(INVALID_PARAMS, "The parameters do not fit the method.") from None
    except (KeyError, ValueError):
        # Of another version, or of none.
        method = None
    if method is None:
        raise RpcError(METHOD_NOT_FOUND, "Method not found", message.method)
    found = {**({"resultType": "complete"} if message.stateless else {}), **method(message, caller)}
    try:
        surface = task_wire.results_like(found)
        result = methods.serialize_server_result(message.method, message.version, found, surface=surface)
    except ValidationError:
        raise RpcError(INTERNAL_ERROR, "The result does not fit the protocol.") from None
    if message.stateless:
        result["_meta"] = {**result.get("_meta", {}), SERVER_INFO_META_KEY: SERVER_INFO}
        result.setdefault("resultType", "complete")
    return result


def _initialize(message: Message, caller: Caller) -> Mapping[str, Any]:
    wanted = message.params.get("protocolVersion")
    version = wanted if wanted in HANDSHAKE_PROTOCOL_VERSIONS else LATEST_HANDSHAKE_VERSION
    return {
        "protocolVersion": version,
        "capabilities": HANDSHAKE_CAPABILITIES,
        "serverInfo": SERVER_INFO,
        "instructions": INSTRUCTIONS,
    }


def _discover(message: Message, caller: Caller) -> Mapping[str, Any]:
    return {
        "supportedVersions": list(MODERN_PROTOCOL_VERSIONS),
        "capabilities": {**CAPABILITIES, "extensions": EXTENSIONS},
        "instructions": INSTRUCTIONS,
        "ttlMs": LIST_TTL_MS,
        "cacheScope": "private",
    }


def _ping(message: Message, caller: Caller) -> Mapping[str, Any]:
    return {}


def _list_tools(message: Message, caller: Caller) -> Mapping[str, Any]:
    if message.params.get("cursor") is not None:
        raise RpcError(INVALID_PARAMS, "The list has one page; there is no such cursor.")
    return {"tools": tools_of(caller.key, caller.snapshot), "ttlMs": LIST_TTL_MS, "cacheScope": "private"}


def _call_tool(message: Message, caller: Caller) -> Mapping[str, Any]:
    name, arguments = message.params["name"], message.params.get("arguments") or {}
    if message.stateless:
        _refuse_other_headers(message, caller, name, arguments)
    return called(caller.begin(name, arguments), message, caller.key, caller.snapshot)


def _refuse_other_headers(message: Message, caller: Caller, name: str, arguments: Mapping[str, Any]) -> None:
    """Arguments that travel in headers too are the same there."""
    tool = caller.snapshot.tools.get(name)
    if tool is None or not caller.snapshot.visible(caller.key, tool).visible:
        return
    wrong = validate_mcp_param_headers(tool.input_schema, arguments, message.headers)
    if isinstance(wrong, InboundLadderRejection):
        raise RpcError(wrong.code, wrong.message, wrong.data)


METHODS: Mapping[str, Method] = {
    "initialize": _initialize,
    "server/discover": _discover,
    "ping": _ping,
    "tools/list": _list_tools,
    "tools/call": _call_tool,
    "tasks/get": lambda message, caller: tasks.got(message, caller.key, caller.snapshot),
    "tasks/update": lambda message, caller: tasks.updated(message, caller.key),
    "tasks/cancel": lambda message, caller: tasks.cancelled(message, caller.key),
}
