"""What can be set of every exporter that works in the background."""

from collections.abc import Callable
from typing import TypedDict


class Options(TypedDict, total=False):
    """As BackgroundExporter takes them."""

    queue_size: int
    interval_s: float
    retry_for_s: float
    exit_timeout_s: float
    random: Callable[[], float]
