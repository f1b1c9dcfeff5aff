"""An upstream says that its list changed: a worker is told to look, soon, and once for any number of such words."""

import threading
from collections.abc import Callable

# A flood of words costs one look in this time, in each process that hears it.
PAUSE_S = 2.0


class Heard:
    """Called by the connections' thread: it returns at once and raises nothing."""

    def __init__(self, look_soon: Callable[[int], None], pause_s: float = PAUSE_S) -> None:
        self._look_soon, self._pause_s = look_soon, pause_s
        self._lock = threading.Lock()
        self._waiting: set[int] = set()

    def __call__(self, upstream_id: int) -> None:
        with self._lock:
            if upstream_id in self._waiting:
                return
            self._waiting.add(upstream_id)
        timer = threading.Timer(self._pause_s, self._tell, [upstream_id])
        timer.daemon = True
        timer.start()

    def _tell(self, upstream_id: int) -> None:
        # Words from here on are about what the look may not have seen any more.
        with self._lock:
            self._waiting.discard(upstream_id)
        self._look_soon(upstream_id)
