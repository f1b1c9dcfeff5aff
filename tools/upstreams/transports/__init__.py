"""How an upstream is reached, one file a way. Each is a context that gives the two ends of a connection."""

from tools.upstreams.transports.opening import open_transport

__all__ = ["open_transport"]
