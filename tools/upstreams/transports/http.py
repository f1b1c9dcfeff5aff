"""Streamable HTTP: the package's, over our own connections."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2
from mcp.client.streamable_http import streamable_http_client

from telemetry.egress import check_url
from telemetry.egress.client import checked_headers
from telemetry.egress.errors import EgressError, Kind
from tools.upstreams.exchange import LARGEST_MESSAGE_BYTES
from tools.upstreams.guarded_http import GuardedTransport
from tools.upstreams.streams import Inbound, InboundOf, Outbound, OutboundOf
from tools.upstreams.target import Target


def client(target: Target, *, answers_elsewhere: bool = False) -> httpx2.AsyncClient:
    """Raises EgressError where the URL or a header of the target can't be used."""
    if why := check_url(target.url):
        raise EgressError(Kind.BAD_URL, why)
    return httpx2.AsyncClient(
        transport=GuardedTransport(answers_elsewhere=answers_elsewhere),
        headers=checked_headers(dict(target.headers)),
        timeout=None,  # the exchange's deadline bounds the whole
        trust_env=False,
        follow_redirects=False,
    )


@asynccontextmanager
async def opened(target: Target) -> AsyncGenerator[tuple[Inbound, Outbound], None]:
    async with (
        client(target) as http,
        streamable_http_client(target.url, http_client=http, max_sse_event_size=LARGEST_MESSAGE_BYTES) as (read, write),
    ):
        yield InboundOf(read), OutboundOf(write)
