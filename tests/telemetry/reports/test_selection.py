"""Which sessions a report tells of, in which order, and what is refused as a filter."""

import datetime as dt

import pytest
from django.db import connection

from telemetry.reports.selection import BadFilter, Filters, Selection, one_moment
from tests.telemetry.reports.rows import MINUTE, MOMENT, session, step


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"from": "2026-11-21"}, "a day is no moment"),
        ({"from": "2026-11-21T14:00:00"}, "no offset"),
        ({"to": "yesterday"}, "no time"),
        ({"to": "2026-13-41T14:00:00Z"}, "no such day"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "before the first year in UTC"),
        ({"from": "2026-11-21T14:00:00Z", "to": "2026-11-21T15:00:00+01:00"}, "the same moment: nothing is between"),
        ({"session": "a" * 151}, "longer than any id"),
        ({"agent": "a\x00b"}, "PostgreSQL has no NUL"),
        ({"agent": 7}, "no text"),
        ({"agents": "billing-agent"}, "nobody listens to this name"),
    ],
)
def test_a_filter_that_can_not_be_read_is_refused(given, why):
    with pytest.raises(BadFilter):
        Filters.from_json(given)


def test_filters_come_back_as_they_were_given():
    given = {"session": "s", "agent": "a", "from": "2026-11-21T14:00:00Z", "to": "2026-11-21T16:00:00Z"}
    assert Filters.from_json(given).as_json() == given
    assert Filters.from_json({"from": "2026-11-21T14:00:00+02:00"}).as_json() == {"from": "2026-11-21T12:00:00Z"}
    assert Filters.from_json({"session": "", "from": ""}).as_json() == {}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "agent_id", "found"),
    [
        ({}, None, "abc"),
        ({"session": "b"}, None, "b"),
        ({"agent": "billing-agent"}, None, "ac"),
        ({"from": "2026-11-21T14:01:00Z"}, None, "bc"),
        ({"to": "2026-11-21T14:01:00Z"}, None, "a"),
        ({"from": "2026-11-21T15:01:00+01:00", "to": "2026-11-21T14:02:00Z"}, None, "b"),
        ({"session": "none"}, None, ""),
        ({}, 1, "ac"),
        ({"session": "b"}, 1, ""),
        ({"agent": "other"}, 1, ""),
    ],
)
def test_what_the_filters_choose_with_its_steps_in_order(given, agent_id, found):
    for place, (name, agent, number) in enumerate(
        [("a", "billing-agent", 1), ("b", "other", 2), ("c", "billing-agent", 1)]
    ):
        made = session(name, agent, number, created_at=MOMENT + place * MINUTE)
        if name != "b":
            for each in (2, 1, 3):
                step(made, each)
    selection = Selection(Filters.from_json(given), agent_id)
    told = [(one.session_id, [each.number for each in steps]) for one, steps in selection.told()]
    assert told == [(name, [] if name == "b" else [1, 2, 3]) for name in found]
    assert selection.steps().count() == sum(len(numbers) for _, numbers in told)


@pytest.mark.django_db
def test_steps_stay_with_their_session_over_many_pages():
    made = [session(f"s{place:03}", created_at=MOMENT + dt.timedelta(seconds=place % 7)) for place in range(250)]
    for place, one in enumerate(made):
        for number in range(1, 1 + place % 4):
            step(one, number)
    told = [(one.pk, [each.session_id for each in steps]) for one, steps in Selection().told()]
    assert len({pk for pk, _ in told}) == 250
    assert sum(len(owners) for _, owners in told) == sum(place % 4 for place in range(250))
    assert all(owner == pk for pk, owners in told for owner in owners)
    # whoever takes none of a session's steps still gets the next session's own
    assert [one.pk for one, _ in Selection().told()] == [pk for pk, _ in told]


@pytest.mark.django_db(transaction=True)
def test_what_is_read_is_of_one_moment_and_nothing_is_written():
    made = session()
    step(made, 1)
    beside = connection.copy()
    try:
        with one_moment():
            before = Selection().steps().count()
            with beside.cursor() as cursor:
                cursor.execute("UPDATE telemetry_session SET agent = 'other'")
                cursor.execute("DELETE FROM telemetry_step")
            assert (Selection().steps().count(), before) == (1, 1)
            assert next(iter(Selection().told()))[0].agent == "billing-agent"
        assert Selection().steps().count() == 0
    finally:
        beside.close()
