"""Django's Redis cache, with one round trip where counting a rate took three.

django-ratelimit asks `add` and then `incr` for every call; Django's `incr` asks twice. Here `incr` is one script, and
`add` need not ask again for a key that this process has seen: keys of rates live until their window is over.
"""

import threading
import time
from typing import Any

from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis import ConnectionPool, Redis

_INCREMENT = "if redis.call('exists', KEYS[1]) == 1 then return redis.call('incrby', KEYS[1], ARGV[1]) end return false"
# Counts only what fits, and answers the count (or -1 where it does not fit) and the milliseconds that are left.
_TAKE = """
local count, left = tonumber(redis.call('get', KEYS[1]) or '0'), redis.call('pttl', KEYS[1])
if count + tonumber(ARGV[1]) > tonumber(ARGV[2]) then return {-1, left} end
count = redis.call('incrby', KEYS[1], ARGV[1])
if left < 0 then redis.call('pexpire', KEYS[1], ARGV[3]); left = tonumber(ARGV[3]) end
return {count, left}
"""
MOST_SEEN = 10_000


class CountingClient(RedisCacheClient):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()
        self._clients: dict[ConnectionPool, Redis] = {}

    def get_client(self, key: Any = None, *, write: bool = False) -> Redis:
        """One for each pool, safe to share between threads; Django's makes one for each command, which costs more."""
        pool = self._get_connection_pool(write)  # type: ignore[attr-defined] # Django's, and not in its stubs
        found = self._clients.get(pool)
        if found is None:
            found = self._clients[pool] = self._client(connection_pool=pool)  # type: ignore[attr-defined] # likewise
        return found

    def add(self, key: Any, value: Any, timeout: Any) -> bool:
        """As Django's. A key that was seen here is known to be there until its time is over."""
        now = time.monotonic()
        if self._seen.get(key, 0.0) > now:
            return False
        added = bool(super().add(key, value, timeout))
        # Where somebody else added it, it may end sooner than ours would: then `incr` finds it gone and says so.
        with self._lock:
            if len(self._seen) >= MOST_SEEN:
                self._seen.clear()
            self._seen[key] = now + (timeout or 0)
        return added

    def incr(self, key: Any, delta: int) -> int:
        """The count after adding, in one atomic step. Raises ValueError where the key is gone."""
        count = self.get_client(key, write=True).eval(_INCREMENT, 1, key, delta)
        if count is None:
            self._seen.pop(key, None)
            raise ValueError(f"Key '{key}' not found.")
        return int(count)

    def take(self, key: str, amount: int, most: int, seconds: int) -> tuple[int, int]:
        """`amount` more is counted where at most `most` then are: the count, or -1; and the milliseconds left of it."""
        count, left = self.get_client(key, write=True).eval(_TAKE, 1, key, amount, most, seconds * 1000)
        return int(count), int(left)

    def clear(self) -> bool:
        self._seen.clear()
        return bool(super().clear())


class CountingCache(RedisCache):
    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = CountingClient

    def take(self, key: str, amount: int, most: int, seconds: int) -> tuple[int, int]:
        """As CountingClient.take, under this cache's own prefix."""
        client = self._cache
        assert isinstance(client, CountingClient)
        return client.take(self.make_and_validate_key(key), amount, most, seconds)
