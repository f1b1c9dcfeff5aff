"""Many words of an upstream cost one look; a word after the look costs another."""

import threading

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
