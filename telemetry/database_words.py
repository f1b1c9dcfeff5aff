"""What the database tells every process of: one LISTEN connection a process, open only while somebody here listens.

A word may be lost with the connection, so whoever listens also asks for itself, as `tick` bids. Behind a pooler that
hands out connections by transaction, words never arrive and only that asking is left. Source: PostgreSQL, NOTIFY.
"""

import logging
import os
import threading
import time
from typing import Any, Protocol

import psycopg
from django.db import connection

log = logging.getLogger(__name__)
SNAPSHOT_CHANGED = "observatory_snapshot"
CALL_CANCELLED = "observatory_cancelled"
CHANNELS = (SNAPSHOT_CHANGED, CALL_CANCELLED)
TICK_S = 1.0
LINGER_S = 30.0
# A peer that is gone without a word is noticed by these.
KEEP_ALIVE = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2}
_OF_DJANGO = ("context", "cursor_factory", "prepare_threshold", "connect_timeout")


class Listener(Protocol):
    """Told in the one thread that listens: so it is quick, and what it raises is logged."""

    channel: str

    def told(self, word: str) -> None: ...

    def tick(self, *, may_have_missed: bool) -> None:
        """About every second. `may_have_missed` where the connection is new."""


class Words:
    """Who listens in this process, and the thread that does it for all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._thread: threading.Thread | None = None
        self._wanted_until = 0.0

    def listen(self, listener: Listener) -> None:
        """It is told from now on; of what is said in the moment until the connection stands, by the first tick."""
        with self._lock:
            if listener not in self._listeners:
                self._listeners.append(listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database-words", daemon=True)
                self._thread.start()

    def stop(self, listener: Listener) -> None:
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)
                # The next one comes soon, as a rule: the connection stays for a while.
                self._wanted_until = time.monotonic() + LINGER_S

    def close(self) -> None:
        """Nobody is told any more, and the connection has ended. Who listens anew is told again."""
        with self._lock:
            self._listeners, self._wanted_until = [], 0.0
            thread = self._thread
        if thread is not None:
            thread.join(3 * TICK_S)

    def _present(self) -> list[Listener] | None:
        """Who is to be told; None where the thread may end, and then it has."""
        with self._lock:
            if not self._listeners and time.monotonic() >= self._wanted_until:
                self._thread = None
                return None
            return list(self._listeners)

    def _run(self) -> None:
        while (listeners := self._present()) is not None:
            try:
                self._hear()
                return
            except (psycopg.Error, OSError) as error:
                log.warning("the database's words are not heard: %s", type(error).__name__)
            for listener in listeners:
                _safely(listener.tick, may_have_missed=False)
            time.sleep(TICK_S)

    def _hear(self) -> None:
        """Listens until nobody here wants it any more."""
        with psycopg.connect(**_parameters(), autocommit=True) as words:
            for channel in CHANNELS:
                words.execute(f"LISTEN {channel}")
            is_new = True
            while (listeners := self._present()) is not None:
                for listener in listeners:
                    _safely(listener.tick, may_have_missed=is_new)
                is_new = False
                # What comes together is told together, and the same word once.
                heard = {(word.channel, word.payload) for word in words.notifies(timeout=TICK_S, stop_after=1)}
                for channel, payload in heard:
                    self._tell(channel, payload)

    def _tell(self, channel: str, payload: str) -> None:
        with self._lock:
            addressed = [listener for listener in self._listeners if listener.channel == channel]
        for listener in addressed:
            _safely(listener.told, payload)


def _safely(tell: Any, *args: Any, **kwargs: Any) -> None:
    try:
        tell(*args, **kwargs)
    except Exception:
        log.exception("what the database told could not be heeded")


def _parameters() -> dict[str, Any]:
    """As Django connects, past its pool: this connection is not lent to anybody."""
    ours = {name: value for name, value in connection.get_connection_params().items() if name not in _OF_DJANGO}
    return ours | KEEP_ALIVE | {"connect_timeout": 5, "application_name": f"mcp-observatory-words-{os.getpid()}"}


def say(channel: str, word: str) -> None:
    """Every process that listens is told, once the running transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, word])


words = Words()
