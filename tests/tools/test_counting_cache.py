"""Counting on a real Valkey: one round trip, atomic, and right again after the store forgot everything."""

import pytest
from django.core.cache import caches

from tests.races.threads import at_once
from tools.counting_cache import CountingCache
from tools.rates import consume, peek


@pytest.fixture
def cache():
    return caches["default"]


def commands(cache, act):
    """How many commands the server was sent by act()."""
    client = cache._cache.get_client()
    before = client.info("stats")["total_commands_processed"]
    act()
    return client.info("stats")["total_commands_processed"] - before - 1


def test_it_is_the_cache_that_is_configured(cache):
    assert isinstance(cache, CountingCache)


def test_a_counted_call_is_one_command(cache):
    consume("one", "9/h")
    # the script's own two commands count at the server too
    assert commands(cache, lambda: consume("one", "9/h")) <= 3


def test_a_key_that_is_gone_is_an_error_and_is_added_again(cache):
    assert cache.add("k", 1, 100) is True
    assert cache.add("k", 1, 100) is False
    assert cache.incr("k") == 2
    cache._cache.get_client().flushdb()  # a restart of the store, behind this process's back
    with pytest.raises(ValueError, match="not found"):
        cache.incr("k")
    assert cache.add("k", 1, 100) is True


def test_a_rate_survives_a_store_that_forgot(cache):
    assert consume("one", "5/h").count == 1
    cache._cache.get_client().flushdb()
    assert consume("one", "5/h").allowed


@pytest.mark.django_db(transaction=True)
def test_threads_count_exactly(cache):
    counts = at_once(16, lambda n: [consume("one", "999/h").count for _ in range(10)])
    assert sorted(c for mine in counts for c in mine) == list(range(1, 161))
    assert peek("one", "999/h").count == 160
