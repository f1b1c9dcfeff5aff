"""HTTP with SSE, as servers before 2025-03-26 speak: the package's, over our own connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.sse import sse_client

from tools.upstreams.streams import Inbound, InboundOf, Outbound, OutboundOf
from tools.upstreams.target import Target
from tools.upstreams.transports.http import client


@asynccontextmanager
async def opened(target: Target) -> AsyncGenerator[tuple[Inbound, Outbound], None]:
    def factory(*_: Any, **__: Any) -> httpx2.AsyncClient:
        return client(target, answers_elsewhere=True)

    async with sse_client(target.url, httpx_client_factory=factory) as (read, write):
        yield InboundOf(read), OutboundOf(write)
