"""The issuer's keys as this process holds them: fetched when due, by one thread at a time, never at a stranger's will.

Ten minutes they are fresh. Where the issuer is down they are believed for an hour, then no token is.
"""

from __future__ import annotations

import logging
import math
import threading
from time import monotonic

from telemetry.connections import release_connection
from tools.access_tokens.discovery import FETCH_S, DiscoveryError, fetch_key_set
from tools.access_tokens.key_set import KeySet
from tools.access_tokens.trusted import Trusted

log = logging.getLogger(__name__)
FRESH_S = 600
STALE_S = 3600
# How soon the issuer is asked again: where keys are held, and where there are none to go on with.
AGAIN_S = 60
RETRY_S = 5
# Threads that may wait for another one's fetch; the rest are answered at once.
MOST_WAITING = 4


class IssuerUnavailableError(Exception):
    """Whether a token is genuine can't be known now."""


class IssuerKeys:
    def __init__(self, issuer: Trusted) -> None:
        self.issuer = issuer
        self._fetching = threading.Lock()
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._held: KeySet | None = None
        self._fetched_at = self._tried_at = -math.inf
        self._last_try_failed = False

    def current(self) -> KeySet:
        """The keys that are believed now. While somebody fetches, others go on with what is held. May raise."""
        age = monotonic() - self._fetched_at
        if age >= FRESH_S:
            is_over = age >= STALE_S
            self._ask(RETRY_S if is_over else AGAIN_S, wait=is_over)
        held = self._held
        if held is None or monotonic() - self._fetched_at >= STALE_S:
            raise IssuerUnavailableError
        return held

    def since(self, known: KeySet) -> KeySet:
        """For a token whose key is not in `known`: what the issuer publishes now, asked once a minute at most.

        Raises IssuerUnavailableError where the issuer was asked and gave no answer.
        """
        if self._held is known:
            self._ask(AGAIN_S, wait=True)
        held = self._held
        if held is None or (held is known and self._last_try_failed):
            raise IssuerUnavailableError
        return held

    def _ask(self, every_s: float, *, wait: bool) -> None:
        if monotonic() - self._tried_at < every_s and not self._fetching.locked():
            return
        # From here on somebody else's answer may be waited for.
        release_connection()
        if self._fetching.acquire(blocking=False):
            try:
                if monotonic() - self._tried_at >= every_s:
                    self._tried_at = monotonic()
                    self._fetch()
            finally:
                self._fetching.release()
        elif wait:
            self._wait_for_the_other()

    def _wait_for_the_other(self) -> None:
        if not self._waiting.acquire(blocking=False):
            raise IssuerUnavailableError
        try:
            if self._fetching.acquire(timeout=FETCH_S):
                self._fetching.release()
        finally:
            self._waiting.release()

    def _fetch(self) -> None:
        try:
            found = fetch_key_set(self.issuer)
        except DiscoveryError as problem:
            self._last_try_failed = True
            log.warning("the keys of the issuer of access tokens could not be had: %s", problem)
            return
        self._last_try_failed = False
        self._fetched_at = monotonic()
        # The same object while nothing changed: what was verified by it stays verified.
        if self._held is None or self._held.digest != found.digest:
            self._held = found


_lock = threading.Lock()
_keys: IssuerKeys | None = None


def keys_of(issuer: Trusted) -> IssuerKeys:
    """One for the process."""
    global _keys  # noqa: PLW0603 (one a process is the point)
    held = _keys
    if held is not None and held.issuer == issuer:
        return held
    with _lock:
        if _keys is None or _keys.issuer != issuer:
            _keys = IssuerKeys(issuer)
        return _keys
