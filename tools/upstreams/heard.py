"""An upstream says that its list changed: a worker is told to look, soon, and once for any number of such words."""

import threading
import time
from collections.abc import Callable

# Words that keep coming cost fewer and fewer looks: one that never stops costs one a minute, as the sweep does anyway.
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0


class Heard:
    """Called by the connections' thread: it returns at once and raises nothing."""

    def __init__(self, look_soon: Callable[[int], None], pause_s: float = SHORTEST_PAUSE_S) -> None:
        self._look_soon, self._shortest_s = look_soon, pause_s
        self._lock = threading.Lock()
        self._waiting: set[int] = set()
        # By upstream: how long the last pause was, and when it was over.
        self._paused: dict[int, tuple[float, float]] = {}

    def __call__(self, upstream_id: int) -> None:
        with self._lock:
            if upstream_id in self._waiting:
                return
            self._waiting.add(upstream_id)
            pause_s = self._next_pause(upstream_id)
        timer = threading.Timer(pause_s, self._tell, [upstream_id, pause_s])
        timer.daemon = True
        timer.start()

    def _next_pause(self, upstream_id: int) -> float:
        """Twice the last one, where this word comes within that time; else the shortest."""
        last_s, over_at = self._paused.get(upstream_id, (0.0, 0.0))
        is_on_and_on = time.monotonic() - over_at < 2 * last_s
        return min(LONGEST_PAUSE_S, 2 * last_s) if is_on_and_on else self._shortest_s

    def _tell(self, upstream_id: int, paused_s: float) -> None:
        # Words from here on are about what the look may not have seen any more.
        with self._lock:
            self._waiting.discard(upstream_id)
            self._paused[upstream_id] = (paused_s, time.monotonic())
        self._look_soon(upstream_id)
