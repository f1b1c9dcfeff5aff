"""MCP clients as somebody else would write them: an object with connect, list_tools, call_tool and close."""

import asyncio
from collections.abc import Callable
from typing import Any

Answer = Callable[[dict[str, Any]], Any]
LOCAL = {"openWorldHint": False}


def listed(name: str, description: str = "", schema: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": description, **({"inputSchema": schema} if schema else {}), **more}


class SampleClient:
    """Answers each tool by its function. `seen` is what was asked of it, in order."""

    def __init__(self, tools: list[Any], **answers: Answer) -> None:
        self.tools = tools
        self.answers = answers
        self.seen: list[str] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def connect(self) -> None:
        self.seen.append("connect")

    async def list_tools(self) -> Any:
        self.seen.append("list_tools")
        return self.tools

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        self.seen.append(f"call {name}")
        self.calls.append((name, arguments))
        await asyncio.sleep(0)
        answer = self.answers[name](arguments)
        return await answer if asyncio.iscoroutine(answer) else answer

    async def close(self) -> None:
        self.seen.append("close")


class BrokenClient(SampleClient):
    """Fails where it is told to."""

    def __init__(self, at: str, error: Exception) -> None:
        super().__init__([listed("t")], t=lambda args: "ok")
        self._at, self._error = at, error

    async def connect(self) -> None:
        await super().connect()
        self._fail("connect")

    async def list_tools(self) -> Any:
        self._fail("list_tools")
        return await super().list_tools()

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        self._fail("call_tool")
        return await super().call_tool(name, arguments)

    async def close(self) -> None:
        await super().close()
        self._fail("close")

    def _fail(self, at: str) -> None:
        if at == self._at:
            raise self._error
