"""Rollups follow the spans, also those that come late, and whoever sums up twice, or two at once, changes nothing."""

import datetime as dt
import random

import pytest
from django.db import transaction
from django.utils import timezone

from telemetry.metrics import rollups
from telemetry.metrics.rollup_sql import NAMES
from telemetry.metrics.rollups import HOUR, MINUTES_KEPT, STEPS, drop_rollups, roll_up, watermark
from telemetry.models import HourRollup, MinuteRollup, Span, StaleMinute
from telemetry.models.rollup import DIMENSIONS, SUMS, THE_REST
from tests.races.locks import advisory_locks
from tests.races.threads import at_once
from tests.telemetry.metrics.spans import MINUTE, NOON, any_spans, assert_as_worked_out, record, span

pytestmark = pytest.mark.django_db
SECOND = dt.timedelta(seconds=1)


def rows(model):
    return sorted(
        map(str, model.objects.values("at", *DIMENSIONS, *SUMS, "longest_us", "first_at", "buckets", "bucket_spans"))
    )


def calls(model=MinuteRollup, **fields):
    return sum(model.objects.filter(**fields).values_list("calls", flat=True))


def fields_of(calls, first_at):
    return {"origin": "pipeline", "kind": "tool_call", "service": "s", "calls": calls, "first_at": first_at}


def test_a_minute_is_summed_up_twenty_seconds_after_its_end():
    record(span(NOON))
    roll_up(NOON + MINUTE + 19 * SECOND)
    assert watermark() == NOON
    assert calls() == 0
    roll_up(NOON + MINUTE + 20 * SECOND)
    assert watermark() == NOON + MINUTE
    assert calls(at=NOON) == calls(HourRollup, at=NOON) == 1


def test_without_spans_there_is_nothing_behind_the_watermark():
    assert roll_up(NOON) == 0
    assert watermark() == NOON - MINUTE


def test_spans_of_the_last_minutes_are_seen_without_a_mark():
    record(span(NOON))
    roll_up(NOON + 2 * MINUTE)
    record(span(NOON + SECOND))
    StaleMinute.objects.all().delete()
    roll_up(NOON + 3 * MINUTE)
    assert calls(at=NOON) == 2


def test_a_late_span_is_summed_up_and_its_mark_is_gone():
    record(span(NOON), span(NOON + 50 * MINUTE))
    roll_up(NOON + HOUR)
    record(span(NOON + SECOND))
    assert [row.minute for row in StaleMinute.objects.filter(minute=NOON)][:1] == [NOON]
    roll_up(NOON + HOUR)
    assert calls(at=NOON) == 2
    assert calls(HourRollup, at=NOON) == 3
    assert StaleMinute.objects.count() == 0


def test_what_just_began_is_no_late_span():
    record(span(timezone.now() - SECOND))
    assert StaleMinute.objects.count() == 0


def test_a_group_that_is_no_more_goes_from_minute_and_hour():
    kept, gone = span(NOON, agent="kept"), span(NOON, agent="gone")
    record(kept, gone)
    roll_up(NOON + 2 * MINUTE)
    Span.objects.filter(pk=gone.pk).delete()
    roll_up(NOON + 3 * MINUTE)
    for model in (MinuteRollup, HourRollup):
        assert list(model.objects.values_list("agent", flat=True)) == ["kept"]


def test_twice_is_as_once():
    record(*any_spans(60, random.Random(1), NOON, NOON + 2 * HOUR))
    roll_up(NOON + 3 * HOUR)
    before = [rows(MinuteRollup), rows(HourRollup)]
    record_again = [StaleMinute(minute=NOON + n * MINUTE) for n in range(180)]
    StaleMinute.objects.bulk_create(record_again)
    assert roll_up(NOON + 3 * HOUR) > 0
    assert [rows(MinuteRollup), rows(HourRollup)] == before
    assert roll_up(NOON + 3 * HOUR) == 0


def test_after_a_pause_it_catches_up_in_bounded_steps():
    long = (STEPS + 10) * HOUR
    begins = NOON - long
    record(span(begins), span(NOON - MINUTE))
    roll_up(NOON + MINUTE)
    assert watermark() == begins + STEPS * HOUR
    assert calls() == 1
    roll_up(NOON + MINUTE)
    assert watermark() == NOON
    assert calls() == calls(HourRollup) == 2


def test_an_hour_whose_minutes_were_dropped_is_made_again_of_all_its_spans():
    old = NOON - MINUTES_KEPT - 3 * dt.timedelta(days=1)
    record(span(old), span(old + 30 * MINUTE))
    StaleMinute.objects.all().delete()
    StaleMinute.objects.create(minute=old)
    roll_up(NOON)
    assert calls(HourRollup, at=old) == 2
    assert drop_rollups(NOON) == 2
    record(span(old + 40 * MINUTE))
    roll_up(NOON)
    assert calls(HourRollup, at=old) == 3


def test_an_hour_whose_spans_were_dropped_keeps_its_sums(settings):
    settings.SPAN_DAYS = 20
    ancient = NOON - dt.timedelta(days=40)
    HourRollup.objects.create(at=ancient, **fields_of(9, ancient))
    record(span(ancient))
    roll_up(NOON)
    assert calls(HourRollup, at=ancient) == 9
    assert StaleMinute.objects.count() == 0


def test_old_minutes_and_hours_are_dropped_by_whole_hours():
    now = NOON + 30 * MINUTE
    fields = fields_of(1, now)
    edge = rollups.whole_hour(now - MINUTES_KEPT)
    for at in (edge - MINUTE, edge):
        MinuteRollup.objects.create(at=at, **fields)
    for at in (now - rollups.HOURS_KEPT - HOUR, now - rollups.HOURS_KEPT + HOUR):
        HourRollup.objects.create(at=at, **fields)
    assert drop_rollups(now) == 2
    assert [MinuteRollup.objects.get().at, HourRollup.objects.count()] == [edge, 1]


@pytest.mark.parametrize("origin", ["sdk", "pipeline"])
def test_a_new_name_in_each_span_fills_no_table(origin):
    """What ran keeps its name beside any number of denials; the sums are whole."""
    made_up = [f"made-up-{n}" for n in range(NAMES + 50)]
    flood = [span(NOON, tool_name=name, origin=origin, service="s", decision="denied_request") for name in made_up]
    record(*flood, *(span(NOON + SECOND, tool_name="real", origin=origin, service="s") for _ in range(3)))
    record(*(span(NOON, tool_name="another", agent="quiet-agent", origin=origin) for _ in range(2)))
    roll_up(NOON + 2 * MINUTE)
    for model in (MinuteRollup, HourRollup):
        assert model.objects.count() == NAMES + 2
        assert calls(model, tool_name="real") == 3
        assert calls(model, tool_name="another") == 2
        assert calls(model, tool_name=THE_REST) == 51
        assert calls(model) == NAMES + 55
    rest = MinuteRollup.objects.get(tool_name=THE_REST)
    assert rest.service == ("s" if origin == "pipeline" else THE_REST)
    assert sum(rest.bucket_spans) == 51


def test_an_agent_that_reports_many_names_hides_none_of_its_own_calls_here():
    record(*(span(NOON, tool_name=f"a-{n:03}", origin="sdk") for n in range(NAMES + 5)))
    record(span(NOON + SECOND, tool_name="z-ours", decision="denied_policy"))
    roll_up(NOON + 2 * MINUTE)
    for model in (MinuteRollup, HourRollup):
        assert calls(model, tool_name="z-ours", origin="pipeline") == 1


def test_who_was_there_first_keeps_its_name_while_more_come():
    first = [span(NOON, tool_name=f"z-{n:03}", origin="otlp") for n in range(NAMES)]
    record(*first)
    roll_up(NOON + 2 * MINUTE)
    record(*(span(NOON + (2 + n % 2) * MINUTE, tool_name=f"a-{n:03}", origin="otlp") for n in range(NAMES)))
    roll_up(NOON + 5 * MINUTE)
    hour = HourRollup.objects.exclude(tool_name=THE_REST)
    assert set(hour.values_list("tool_name", flat=True)) == {row.tool_name for row in first}
    assert calls(HourRollup, tool_name=THE_REST) == NAMES


def test_numbers_beyond_any_column_end_no_summing_up():
    record(*(span(NOON, prompt_tokens=2**63 - 1) for _ in range(3)))
    roll_up(NOON + 2 * MINUTE)
    assert HourRollup.objects.get().prompt_tokens == 2**63 - 1


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_several_runners_and_recorders_at_once_lose_nothing():
    """Some sum up while others record into the same minutes, so that their marks are made while marks are taken."""
    begins, ends = NOON, NOON + 30 * MINUTE
    spans = [any_spans(30, random.Random(seed), begins, ends) for seed in range(4)]

    def act(number):
        if number >= len(spans):
            return roll_up(ends + MINUTE)
        for part in range(0, 30, 5):
            with transaction.atomic():
                record(*spans[number][part : part + 5])
        return None

    at_once(8, act)
    roll_up(ends + MINUTE)
    assert_as_worked_out([row for some in spans for row in some], begins, ends)
    assert advisory_locks() == 0


def test_many_late_minutes_are_taken_once_each_some_hours_a_run_and_hold_up_no_other():
    hours = rollups.STALE_HOURS + 3
    spans = [span(NOON - n * HOUR) for n in range(1, hours + 1)]
    record(*spans)
    roll_up(NOON)
    StaleMinute.objects.all().delete()
    Span.objects.all().delete()
    minutes = [row.start_time for row in spans]
    StaleMinute.objects.bulk_create(StaleMinute(minute=minute) for minute in minutes for _ in range(100))
    assert roll_up(NOON + 5 * MINUTE) == rollups.STALE_HOURS + 10, "and the last ten minutes, as ever"
    assert watermark() == NOON + 4 * MINUTE
    assert set(StaleMinute.objects.values_list("minute", flat=True)) == set(minutes[rollups.STALE_HOURS :])
    assert roll_up(NOON + 5 * MINUTE) == hours - rollups.STALE_HOURS
    assert calls() == calls(HourRollup) == StaleMinute.objects.count() == 0
