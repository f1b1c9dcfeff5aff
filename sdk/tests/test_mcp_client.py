"""The client of one MCP server, over real sockets: how it connects, what it says, what becomes of lost connections."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from mcp_observatory import MCPClient, NotReachable, instrument
from websocket_mcp import WebSocketMCP, http_mcp, websocket_mcp

CANARY = "Zq7Canary9"


@pytest.fixture
def mcp() -> Iterator[WebSocketMCP]:
    with websocket_mcp() as server:
        yield server


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


def test_everything_goes_over_a_websocket(mcp: WebSocketMCP) -> None:
    async def main() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        client = MCPClient(mcp.url, headers={"Authorization": f"Bearer {CANARY}"})
        assert CANARY not in repr(client)
        await client.connect()
        await client.connect()
        tools = await client.list_tools()
        with instrument("bot").span("other", name="above") as span:
            answer = await client.call_tool("calculate", {"a": 1, "b": 2})
        assert mcp.metas[-1]["traceparent"] == span.traceparent
        await client.close()
        await client.close()
        return tools, answer

    tools, answer = asyncio.run(main())
    assert [tool["name"] for tool in tools][:2] == ["search_web", "calculate"]
    assert len(tools) == 9
    assert tools[1]["annotations"] == {"openWorldHint": False}
    assert (answer["content"], answer["structuredContent"]) == ([{"type": "text", "text": "3"}], {"total": 3})
    (handshake,) = mcp.handshakes
    assert (handshake["authorization"], handshake["sec-websocket-protocol"]) == (f"Bearer {CANARY}", "mcp")
    assert mcp.is_left()


def test_everything_goes_over_streamable_http() -> None:
    async def main(url: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        client = MCPClient(url, headers={"X-API-Key": CANARY})
        await client.connect()
        try:
            return await client.list_tools(), await client.call_tool("calculate", {"a": 1, "b": 2})
        finally:
            await client.close()

    with http_mcp() as (url, headers):
        tools, answer = asyncio.run(main(url))
    assert (len(tools), answer["structuredContent"]) == (9, {"total": 3})
    assert {one.get("x-api-key") for one in headers} == {CANARY}


def test_connection_is_tried_again_with_growing_pauses(mcp: WebSocketMCP) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def main() -> None:
        client = MCPClient(mcp.url, retries=3, sleep=sleep, random=lambda: 1.0)
        await client.connect()
        await client.close()

    mcp.refusing[:] = [503, 500, 429]
    asyncio.run(main())
    assert pauses == [0.25, 0.5, 1.0]
    assert len(mcp.handshakes) == 4


@pytest.mark.parametrize(("refusing", "tries"), [([401] * 9, 1), ([403] * 9, 1), ([302] * 9, 3), ([503] * 9, 3)])
def test_connection_that_cannot_be_made_says_so(mcp: WebSocketMCP, refusing: list[int], tries: int) -> None:
    async def main() -> None:
        client = MCPClient(mcp.url + f"?key={CANARY}", retries=2, sleep=no_sleep)
        with pytest.raises(NotReachable, match="InvalidStatus") as refusal:
            await client.connect()
        assert CANARY not in str(refusal.value)
        assert CANARY not in repr(client)

    mcp.refusing[:] = refusing
    asyncio.run(main())
    assert len(mcp.handshakes) == tries


def test_nobody_there_is_not_reachable(nobody: str) -> None:
    async def main(url: str) -> None:
        client = MCPClient(url, retries=1, sleep=no_sleep)
        with pytest.raises(NotReachable):
            await client.connect()
        with pytest.raises(NotReachable, match="not connected"):
            await client.call_tool("echo", {})
        await client.close()

    for scheme in ("ws", "http"):
        asyncio.run(main(nobody.replace("http", scheme)))


def test_silent_server_is_given_up(nobody: str) -> None:
    async def main() -> None:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(hold, "127.0.0.1", 0) as silent:
            port = silent.sockets[0].getsockname()[1]
            client = MCPClient(f"ws://127.0.0.1:{port}", timeout_s=0.1, retries=1, sleep=no_sleep)
            with pytest.raises(NotReachable, match="TimeoutError"):
                await client.connect()

    asyncio.run(main())


def test_lost_call_is_not_made_again_and_the_next_one_connects(mcp: WebSocketMCP) -> None:
    async def main() -> None:
        client = MCPClient(mcp.url)
        await client.connect()
        with pytest.raises(Exception, match="closed"):
            await client.call_tool("hang_up", {})
        answer = await client.call_tool("echo", {"text": "again"})
        assert answer["content"][0]["text"] == "again"
        await client.close()

    asyncio.run(main())
    assert [name for name, _ in mcp.calls] == ["hang_up", "echo"]
    assert len(mcp.handshakes) == 2


def test_client_is_used_and_closed_from_other_tasks(mcp: WebSocketMCP) -> None:
    async def main() -> None:
        client = MCPClient(mcp.url)
        await asyncio.create_task(client.connect())
        calls = [asyncio.create_task(client.call_tool("echo", {"text": str(n)})) for n in range(8)]
        answers = [answer["content"][0]["text"] for answer in await asyncio.gather(*calls)]
        assert answers == [str(n) for n in range(8)]
        await asyncio.create_task(client.close())

    asyncio.run(main())
    assert mcp.is_left()


def test_waiting_call_ends_when_the_client_closes(mcp: WebSocketMCP) -> None:
    async def main() -> None:
        client = MCPClient(mcp.url)
        await client.connect()
        waiting = asyncio.create_task(client.call_tool("hang", {}))
        while not mcp.calls:
            await asyncio.sleep(0.01)
        await client.close()
        with pytest.raises(Exception, match="closed"):
            await waiting

    asyncio.run(main())


def test_frames_are_in_no_log(mcp: WebSocketMCP, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        client = MCPClient(mcp.url, headers={"Authorization": CANARY})
        await client.connect()
        await client.call_tool("echo", {"text": CANARY})
        await client.close()

    caplog.set_level(logging.DEBUG)
    asyncio.run(main())
    # The other side is in this process too; and what shows the two ends of a frame would prove nothing by its middle.
    ours = [record for record in caplog.records if record.name not in ("websockets.server", "mcp.server.runner")]
    assert CANARY not in "".join(record.getMessage() for record in ours)
    assert not [record for record in ours if record.name.startswith(("websockets", "mcp_observatory"))]


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8080", "ftp://h/x", "ws://", "ws://u:p@h/", "wss://h/#part", "ws://h:99999/", "http://[::1"],
)
def test_url_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^url ") as refusal:
        MCPClient(url)
    assert "h/" not in str(refusal.value)
