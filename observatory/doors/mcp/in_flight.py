"""The calls that run in this process and that their callers may take back, wherever the word of it comes in."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from telemetry.connections import release_connection
from telemetry.database_words import CALL_CANCELLED, say, words
from tools.cancellation import Cancellation

# The process that runs the call may have begun to listen only with this call: what it may have missed is said again.
SAID_AGAIN_AFTER_S = (1.0, 5.0)
MOST_SAID_AGAIN = 1000


def name_of_call(public_id: str, session: str, request_id: str | int) -> str:
    """One call's name in every process. It tells nothing: whoever listens at the database learns no session."""
    return hashlib.sha256(json.dumps([public_id, session, request_id]).encode()).hexdigest()


class InFlight:
    """Who is told that a call was taken back, by the call's name."""

    channel = CALL_CANCELLED

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, list[Cancellation]] = {}
        self._said: list[tuple[float, str]] = []

    @contextmanager
    def named(self, name: str | None, cancellation: Cancellation) -> Iterator[None]:
        """Within, the call is taken back by its name. Without a name by nobody."""
        if name is None:
            yield
            return
        with self._lock:
            self._calls.setdefault(name, []).append(cancellation)
            words.listen(self)
        try:
            yield
        finally:
            with self._lock:
                self._calls[name].remove(cancellation)
                if not self._calls[name]:
                    del self._calls[name]
                self._stop_where_idle()

    def take_back(self, name: str) -> None:
        """The call is taken back, in whichever process it runs; nothing happens where it has ended."""
        if self._cancelled_here(name):
            return
        say(CALL_CANCELLED, name)
        now = time.monotonic()
        with self._lock:
            if len(self._said) < MOST_SAID_AGAIN:
                self._said += [(now + after_s, name) for after_s in SAID_AGAIN_AFTER_S]
            words.listen(self)

    def told(self, word: str) -> None:
        self._cancelled_here(word)

    def tick(self, *, may_have_missed: bool) -> None:
        now = time.monotonic()
        with self._lock:
            due = {name for at, name in self._said if at <= now}
            self._said = [(at, name) for at, name in self._said if at > now]
            self._stop_where_idle()
        try:
            for name in due:
                say(CALL_CANCELLED, name)
        finally:
            release_connection()

    def _stop_where_idle(self) -> None:
        if not self._calls and not self._said:
            words.stop(self)

    def _cancelled_here(self, name: str) -> bool:
        with self._lock:
            found = list(self._calls.get(name, ()))
        for cancellation in found:
            cancellation.cancel()
        return bool(found)


in_flight = InFlight()
