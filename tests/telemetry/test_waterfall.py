"""The tree of a trace holds whatever reporters say of parents: each span once, and within the picture."""

import datetime as dt
import random

from telemetry.waterfall import DEEPEST, WIDTH, lines
from tests.telemetry.metrics.spans import NOON, span

SECOND = dt.timedelta(seconds=1)


def named(name, parent="", after=0.0, ms=10.0, **fields):
    made = span(NOON + after * SECOND, ms, **fields)
    made.span_id, made.parent_span_id = name, parent
    return made


def drawn(*spans):
    return [(line.span.span_id, line.depth, line.orphan) for line in lines(spans)]


def test_children_stand_below_their_parent_in_the_order_of_time():
    root = named("root", ms=5000)
    late, early, below = named("late", "root", 2), named("early", "root", 1), named("below", "early", 1.5)
    assert drawn(late, below, root, early) == [
        ("root", 0, False),
        ("early", 1, False),
        ("below", 2, False),
        ("late", 1, False),
    ]


def test_orphans_and_circles_survive():
    assert drawn(named("a", "elsewhere"), named("b", "a", 1)) == [("a", 0, True), ("b", 1, False)]
    assert drawn(named("x", "y"), named("y", "x", 1), named("z", "y", 2)) == [
        ("x", 0, True),
        ("y", 1, False),
        ("z", 2, False),
    ]
    assert drawn(named("self", "self")) == [("self", 0, True)]


def test_any_parents_at_all_lose_no_span_and_leave_nothing_outside_the_picture():
    for seed in range(30):
        chance = random.Random(seed)
        names = [f"s{n}" for n in range(chance.randrange(1, 60))]
        spans = [
            named(name, chance.choice(["", "gone", *names]), chance.random() * 9, chance.random() * 3000)
            for name in names
        ]
        # Two reporters may use one span id.
        spans += [named(names[0], chance.choice(names), 3)]
        found = lines(spans)
        assert sorted(str(line.span.pk) for line in found) == sorted(str(one.pk) for one in spans)
        for line in found:
            assert line.x >= 0
            assert line.width > 0
            assert line.x + line.width <= WIDTH + 0.02


def test_a_chain_of_five_hundred_is_no_problem_and_an_instant_is_seen():
    chain = [named(f"s{n}", f"s{n - 1}" if n else "", n / 100, 0) for n in range(500)]
    found = lines(chain)
    assert [line.depth for line in found[-2:]] == [DEEPEST, DEEPEST]
    assert found[-1].width > 0


def test_stages_are_segments_one_after_another_within_their_call():
    [line] = lines([named("a", ms=100, stages_us={"first": 25_000, "second": 50_000, "third": 90_000, "odd": "x"})])
    assert [(part.name, part.x, part.width) for part in line.segments] == [
        ("first", 0, 250),
        ("second", 250, 500),
        ("third", 750, 250),
    ]
