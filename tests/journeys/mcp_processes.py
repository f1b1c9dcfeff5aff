"""How tests speak to real processes of the MCP door: by its official client, or by hand; and what the record says."""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from telemetry.models import Span

BOTH = "application/json, text/event-stream"
STATELESS = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def posted(server, secret, method, params, *, request_id=1, **headers):
    body = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    sent = {"X-API-Key": secret, "Accept": "application/json"} | {n.replace("_", "-"): v for n, v in headers.items()}
    return httpx2.post(f"{server.url}/mcp", json=body, headers=sent, timeout=30)


def talk(server, secret, mode, conversation):
    """What the conversation with a connected client answered; in a thread of its own, as a loop wants it."""

    async def run():
        answers = []
        try:
            async with (
                httpx2.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, timeout=30) as http,
                Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode) as client,
            ):
                answers.append(await conversation(client))
        except* anyio.ClosedResourceError:
            # The package's own: the response to a call that was taken back came while its client closed.
            if not answers:
                raise
        return answers[0]

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, run()).result(timeout=60)


def soon(question, within_s=15):
    """The answer, once there is one."""
    deadline = time.monotonic() + within_s
    while not (found := question()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
    return found


def spans(tool):
    return list(Span.objects.filter(tool_name=tool).order_by("start_time"))


def threads(server):
    """How many threads the server's processes have."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == server.group():
                found += len(list((process / "task").iterdir()))
        except OSError:
            continue
    return found
