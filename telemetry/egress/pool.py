"""Connections that wait for their next request: few, not for long, and never shared between processes."""

from __future__ import annotations

import os
import threading
import time

from telemetry.egress.connection import PlainConnection, TlsConnection

Connection = PlainConnection | TlsConnection
Origin = tuple[str, str, int]

_MOST_PER_ORIGIN = 8
_MOST = 128
# Shorter than most servers keep one open: a request that meets a closing connection has an unknown outcome.
_LONGEST_IDLE_S = 15.0


class Pool:
    """Idle connections by scheme, host and port; the last one in is the first one out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[Connection]] = {}

    def take(self, origin: Origin) -> Connection | None:
        """A connection that is still good, or None."""
        while True:
            with self._lock:
                waiting = self._idle.get(origin)
                if not waiting:
                    return None
                connection = waiting.pop()
                if not waiting:
                    del self._idle[origin]
            if time.monotonic() - connection.idle_since < _LONGEST_IDLE_S and connection.is_reusable():
                return connection
            connection.close()

    def give(self, origin: Origin, connection: Connection) -> None:
        """The connection waits, or is closed where enough do."""
        connection.idle_since = time.monotonic()
        with self._lock:
            surplus = self._lapsed(connection.idle_since)
            waiting = self._idle.get(origin, [])
            if len(waiting) < _MOST_PER_ORIGIN and sum(map(len, self._idle.values())) < _MOST:
                self._idle[origin] = [*waiting, connection]
            else:
                surplus.append(connection)
        for old in surplus:
            old.close()

    def close(self) -> None:
        """Nothing waits any more."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for waiting in idle.values():
            for connection in waiting:
                connection.close()

    def after_fork(self) -> None:
        """In a child: the parent's connections are let go unharmed. Another thread may have held the lock."""
        self._lock = threading.Lock()
        self.close()

    def _lapsed(self, now: float) -> list[Connection]:
        lapsed = [c for waiting in self._idle.values() for c in waiting if now - c.idle_since >= _LONGEST_IDLE_S]
        if lapsed:
            self._idle = {
                origin: fresh
                for origin, waiting in self._idle.items()
                if (fresh := [c for c in waiting if now - c.idle_since < _LONGEST_IDLE_S])
            }
        return lapsed


pool = Pool()
os.register_at_fork(after_in_child=pool.after_fork)
