"""Whether whoever asked for a call still wants it. Set from any thread; what waits for an upstream is told at once."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Cancellation:
    """Not cancelled until `cancel()`; then for ever."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._then: list[Callable[[], None]] = []
        self._is_cancelled = False

    @property
    def is_cancelled(self) -> bool:
        return self._is_cancelled

    def cancel(self) -> None:
        """Everybody who asked to be told is told, once."""
        with self._lock:
            self._is_cancelled, waiting, self._then = True, self._then, []
        for callback in waiting:
            try:
                callback()
            except Exception:
                log.exception("a cancelled call could not be stopped")

    def then(self, callback: Callable[[], None]) -> None:
        """The callback is called when the call is cancelled; at once where it was."""
        with self._lock:
            if not self._is_cancelled:
                self._then.append(callback)
                return
        callback()
