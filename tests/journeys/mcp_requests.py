"""Requests of 2026-07-28 for tests: by the official client over HTTP, or by hand where a client would not send them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

VERSION = "2026-07-28"
TASKS = "io.modelcontextprotocol/tasks"
WITH_TASKS: dict[str, Any] = {"extensions": {TASKS: {}}}
WITH_FORMS: dict[str, Any] = {"elicitation": {"form": {}}}
_NAMES = {"tools/call": "name", "tasks/get": "taskId", "tasks/update": "taskId", "tasks/cancel": "taskId"}


def talk(
    server: Any, secret: str, conversation: Callable[[Client], Awaitable[Any]], mode: str = VERSION, **options: Any
) -> Any:
    """What the conversation with a connected client answered."""

    async def run() -> Any:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, timeout=30) as http,
            Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode, **options) as client,
        ):
            return await conversation(client)

    # In a thread of its own: a browser of another test may keep a running loop in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, run()).result(timeout=60)


def ask(
    caller: Any,
    method: str,
    params: dict[str, Any] | None = None,
    *,
    can: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
    **headers: str,
) -> Any:
    """The HTTP answer to one request whose client declares what it `can`."""
    envelope = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": can or {},
    }
    params = {**(params or {}), "_meta": envelope | (meta or {})}
    name = {"Mcp_Name": params[_NAMES[method]]} if method in _NAMES else {}
    fitting = {"MCP_Protocol_Version": VERSION, "Mcp_Method": method} | name
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return caller.post("/mcp", body, **(fitting | headers))


def result(answer: Any) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert "result" in body, body
    found: dict[str, Any] = body["result"]
    return found


def error(answer: Any) -> tuple[int, int]:
    """The HTTP status and the code of the JSON-RPC error."""
    return answer.status_code, answer.json()["error"]["code"]


def call(caller: Any, tool: str, arguments: Any = None, **more: Any) -> dict[str, Any]:
    """The result of a tools/call; `more` are other params, or `can` and `meta`."""
    besides = {name: more.pop(name) for name in ("can", "meta") if name in more}
    return result(ask(caller, "tools/call", {"name": tool, "arguments": arguments or {}, **more}, **besides))
