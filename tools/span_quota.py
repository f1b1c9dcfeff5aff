"""How many spans a key may report in a minute. Where they can't be counted, none are taken."""

from dataclasses import dataclass
from typing import cast

from django.conf import settings
from django.core.cache import caches

from tools.counting_cache import CountingCache
from tools.rates import RateStoreUnavailableError

WINDOW_S = 60


@dataclass(frozen=True, slots=True)
class Quota:
    allowed: bool
    limit: int
    retry_after_s: int


def take_quota(key_id: str, spans: int) -> Quota:
    """So many more spans are counted for the key, or none where they don't all fit. One round trip, atomic.

    The minute begins with its first span. Raises RateStoreUnavailableError.
    """
    most: int = settings.SPANS_PER_MINUTE
    try:
        count, left_ms = cast(CountingCache, caches["default"]).take(f"spans:{key_id}", spans, most, WINDOW_S)
    except Exception as error:  # whichever way the store fails, it did not count
        raise RateStoreUnavailableError(type(error).__name__) from error
    return Quota(count >= 0, most, max(1, -(-left_ms // 1000)) if left_ms > 0 else WINDOW_S)
