"""Whether a key's list of tools has changed since its listener last looked: one look for all listeners of a process.

The word that something changed comes from the database, whoever made the change and in whichever process; what it
means for a key is told by the list itself. A poll finds what a lost word left out.
"""

import datetime as dt
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils import timezone

from observatory.doors.mcp.tool_listing import tools_of
from telemetry.canonical import digest
from telemetry.connections import release_connection
from telemetry.database_words import SNAPSHOT_CHANGED, words
from tools.scopes import Scope
from tools.snapshot import KeyView, Snapshot, current

log = logging.getLogger(__name__)
POLL_S = 5.0


def digest_of_tools(key: KeyView, snapshot: Snapshot) -> str:
    return digest(json.dumps(tools_of(key, snapshot), sort_keys=True).encode())


@dataclass(eq=False, slots=True)
class Subscriber:
    """One stream that wants to know. `has_changed` and `is_over` are read after `woken` was called, from any thread.

    `prove` answers whose stream it is by what it was opened with: a key, or an access token, which ends by itself.
    """

    key: KeyView
    prove: Callable[[Snapshot, dt.datetime], KeyView | None]
    version: int | None
    digest: str
    woken: Callable[[], None] = field(default=lambda: None)
    has_changed: bool = False
    is_over: bool = False

    def proven(self, snapshot: Snapshot, now: dt.datetime) -> KeyView | None:
        """The key as it is now; None where the stream may not go on."""
        key = self.prove(snapshot, now)
        return key if key is not None and Scope.TOOLS_CALL in key.scopes else None

    def end(self) -> None:
        self.is_over = True
        self.woken()

    def look(self, version: int | None, found: str) -> None:
        if found != self.digest:
            self.has_changed = True
            self.woken()
        self.version, self.digest = version, found


class Changes:
    """Everybody in this process who wants to know, and the one look that is taken for all of them."""

    channel = SNAPSHOT_CHANGED

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: set[Subscriber] = set()
        self._looked_at = 0.0

    def subscribe(self, subscriber: Subscriber) -> None:
        """What changes from its version on is told, also what changed while it was made."""
        with self._lock:
            self._subscribers.add(subscriber)
            # The next tick looks: the list may have changed after the snapshot that it was made of.
            self._looked_at = 0.0
        words.listen(self)

    def leave(self, subscriber: Subscriber) -> None:
        with self._lock:
            self._subscribers.discard(subscriber)
            if not self._subscribers:
                words.stop(self)

    def end_all(self) -> None:
        """Every stream is told that it ends: its client subscribes again, elsewhere."""
        for subscriber in self._present():
            subscriber.end()

    def told(self, word: str) -> None:
        self._look()

    def tick(self, *, may_have_missed: bool) -> None:
        if may_have_missed or time.monotonic() - self._looked_at >= POLL_S:
            self._look()
        now = timezone.now()
        for subscriber in self._present():
            if not subscriber.key.usable(now):
                subscriber.end()

    def _present(self) -> list[Subscriber]:
        with self._lock:
            return list(self._subscribers)

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        now, digests = timezone.now(), dict[KeyView, str]()
        try:
            snapshot = current()
            for subscriber in self._present():
                try:
                    self._look_for(subscriber, snapshot, now, digests)
                except Exception:
                    # One whose stream is gone, say: the others are told all the same.
                    log.exception("a subscriber could not be told of changes")
        finally:
            release_connection()

    @staticmethod
    def _look_for(subscriber: Subscriber, snapshot: Snapshot, now: dt.datetime, digests: dict[KeyView, str]) -> None:
        key = subscriber.proven(snapshot, now)
        if key is None:
            subscriber.end()
        elif subscriber.version != snapshot.version:
            if key not in digests:
                digests[key] = digest_of_tools(key, snapshot)
            subscriber.look(snapshot.version, digests[key])


changes = Changes()
