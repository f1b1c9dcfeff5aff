"""Many words of an upstream cost one look; a word after the look costs another."""

import itertools
import threading
import time

from tools.upstreams.heard import Heard


def test_a_flood_of_words_is_one_look_and_a_later_word_another():
    looked, told = [], threading.Semaphore(0)

    def look(upstream_id):
        looked.append(upstream_id)
        told.release()

    heard = Heard(look, pause_s=0.2)
    for _ in range(1000):
        heard(7)
    heard(8)
    assert all(told.acquire(timeout=5) for _ in range(2))
    assert sorted(looked) == [7, 8]
    heard(7)
    assert told.acquire(timeout=5)
    assert sorted(looked) == [7, 7, 8]


def test_words_that_never_stop_cost_fewer_and_fewer_looks():
    looked, told = [], threading.Semaphore(0)

    def look(upstream_id):
        looked.append(time.monotonic())
        told.release()
        heard(upstream_id)  # it changed again

    heard = Heard(look, pause_s=0.05)
    heard(7)
    assert all(told.acquire(timeout=10) for _ in range(5))
    pauses = [after - before for before, after in itertools.pairwise(looked)]
    assert pauses[-1] > 4 * pauses[0]
