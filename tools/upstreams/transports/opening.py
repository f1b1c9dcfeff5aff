"""The way to a target, by its word."""

from contextlib import AbstractAsyncContextManager

from telemetry.egress.errors import EgressError, Kind
from tools.upstreams.streams import Inbound, Outbound
from tools.upstreams.target import Target
from tools.upstreams.transports import http, sse, stdio, websocket

_OPENED = {"http": http.opened, "stdio": stdio.opened, "websocket": websocket.opened, "sse": sse.opened}


def open_transport(target: Target) -> AbstractAsyncContextManager[tuple[Inbound, Outbound]]:
    """Raises EgressError, here or on entering."""
    opened = _OPENED.get(target.transport)
    if opened is None:
        raise EgressError(Kind.BAD_URL, f"There is no way to reach it by {target.transport}.")
    return opened(target)
