"""What is kept of an upstream's list for its calls."""

import asyncio
from types import SimpleNamespace
from typing import Any

from tests.tools.upstreams.server import NEAR
from tools.upstreams.session import Session


class Lists:
    """Other tools each time it is asked."""

    asked = 0

    async def send_raw_request(self, *_: Any) -> dict[str, Any]:
        self.asked += 1
        return {"tools": [{"name": f"tool_{self.asked}_{number}", "inputSchema": NEAR} for number in range(3)]}


def test_what_is_listed_no_more_is_forgotten() -> None:
    session = Session(SimpleNamespace(protocol_version="2026-07-28"), Lists())  # type: ignore[arg-type]  # its two parts
    for _ in range(5):
        asyncio.run(session.page(None))
    assert set(session._headers_of) == {"tool_5_0", "tool_5_1", "tool_5_2"}
