"""The state machine of an alert: a table of stories, and what holds of every story that can be told."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.alerts.step import Condition, Finding, Standing, Terms, end, step
from telemetry.models import AlertState

ZERO = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
OUT, WITHIN, UNKNOWN, GONE = Finding.OUT, Finding.WITHIN, Finding.UNKNOWN, Finding.GONE
AT_ONCE = Terms(for_s=0, keep_firing_s=0, repeat_s=0, no_data="keep")
PATIENT = Terms(for_s=120, keep_firing_s=180, repeat_s=600, no_data="keep")


def at(minute):
    return ZERO + dt.timedelta(minutes=minute)


def told(terms, findings, standing=None):
    """What was told and when, in minutes, of findings a minute apart; `.` is a minute without new figures."""
    standing, story = standing or Standing("key"), []
    newest = at(-1)
    for minute, finding in enumerate(findings):
        newest = newest if finding is None else at(minute)
        taken = step(terms, standing, Condition(finding or OUT, newest), at(minute))
        standing = taken.standing
        if taken.tells:
            story.append((minute, str(taken.tells)))
    return story, str(standing.state)


STORIES = {
    "at once, and over at once": (AT_ONCE, [OUT, WITHIN], [(0, "firing"), (1, "resolved")], "resolved"),
    "not long enough": (PATIENT, [OUT, OUT, WITHIN], [], "inactive"),
    "long enough": (PATIENT, [OUT, OUT, OUT], [(2, "firing")], "firing"),
    "back within, not long enough": (PATIENT, [OUT] * 3 + [WITHIN] * 2, [(2, "firing")], "firing"),
    "it flaps, and is one episode": (
        PATIENT,
        [OUT] * 3 + [WITHIN, WITHIN, OUT, WITHIN, WITHIN, WITHIN],
        [(2, "firing"), (8, "resolved")],
        "resolved",
    ),
    "again after it was over": (
        AT_ONCE,
        [OUT, WITHIN, WITHIN, OUT],
        [(0, "firing"), (1, "resolved"), (3, "firing")],
        "firing",
    ),
    "told again": (PATIENT, [OUT] * 24, [(2, "firing"), (12, "repeat"), (22, "repeat")], "firing"),
    "told again without new figures": (
        PATIENT,
        [OUT] * 3 + [None] * 12,
        [(2, "firing"), (12, "repeat")],
        "firing",
    ),
    "unknown keeps": (PATIENT, [OUT] * 3 + [UNKNOWN] * 6, [(2, "firing")], "firing"),
    "unknown keeps what waits": (PATIENT, [OUT, UNKNOWN, UNKNOWN, UNKNOWN], [], "pending"),
    "unknown is well": (
        replace(PATIENT, no_data="resolve"),
        [OUT] * 3 + [UNKNOWN] * 3,
        [(2, "firing"), (5, "resolved")],
        "resolved",
    ),
    "unknown is bad": (replace(PATIENT, no_data="fire"), [UNKNOWN] * 3, [(2, "firing")], "firing"),
    "gone is over, also where unknown keeps": (
        PATIENT,
        [OUT] * 3 + [GONE] * 3,
        [(2, "firing"), (5, "resolved")],
        "resolved",
    ),
    "gone is bad where no data is": (replace(AT_ONCE, no_data="fire"), [WITHIN, GONE], [(1, "firing")], "firing"),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_story_ends_as_it_should(name):
    terms, findings, tells, state = STORIES[name]
    assert told(terms, findings) == (tells, state)


@pytest.mark.parametrize(
    ("findings", "state", "tells"),
    [([], "inactive", None), ([OUT], "inactive", None), ([OUT] * 3, "resolved", "resolved")],
)
def test_a_rule_that_is_changed_ends_what_it_began(findings, state, tells):
    standing = Standing("key")
    for minute, finding in enumerate(findings):
        standing = step(PATIENT, standing, Condition(finding, at(minute)), at(minute)).standing
    taken = end(standing, at(9), "The rule was changed.")
    assert (taken.standing.state, taken.tells) == (state, tells)
    assert (taken.transition is None) == (not findings)
    if taken.transition:
        assert taken.transition.why == "The rule was changed."
    assert end(taken.standing, at(9), "again").transition is None


# what holds of every story

SECONDS = st.sampled_from([0, 60, 120, 300])
TERMS = st.builds(Terms, SECONDS, SECONDS, SECONDS, st.sampled_from(["keep", "resolve", "fire"]))
# How much later it is looked, how much newer the figures are, and what they say.
LOOKS = st.lists(
    st.tuples(st.sampled_from([0, 30, 60, 90, 600]), st.sampled_from([0, 0, 60, 60, 120]), st.sampled_from(Finding)),
    max_size=60,
)


def walk(terms, looks):
    """Every step with what it was given; figures are never newer than the clock."""
    standing, now, newest = Standing("key"), ZERO, ZERO
    for later, newer, finding in looks:
        now += dt.timedelta(seconds=later)
        newest = min(newest + dt.timedelta(seconds=newer), now)
        condition = Condition(finding, newest, 1.0, 1)
        taken = step(terms, standing, condition, now)
        yield standing, condition, now, taken
        standing = taken.standing


def _is_out(terms, finding):
    return finding == OUT or (terms.no_data == "fire" and finding in (UNKNOWN, GONE))


@settings(max_examples=300, deadline=None)
@given(TERMS, LOOKS)
def test_it_never_fires_before_it_was_out_long_enough(terms, looks):
    began = None
    for before, condition, _, taken in walk(terms, looks):
        if before.evaluated_at is not None and condition.at <= before.evaluated_at:
            assert taken.transition is None
            continue
        out = _is_out(terms, condition.finding)
        unsaid = condition.finding == UNKNOWN and terms.no_data == "keep"
        began = (began or condition.at) if out else began if unsaid and before.state == "pending" else None
        if taken.tells == "firing":
            assert out
            assert began is not None
            assert condition.at - began >= dt.timedelta(seconds=terms.for_s)
        if taken.standing.state == "pending":
            assert condition.at - began < dt.timedelta(seconds=terms.for_s) or unsaid


@settings(max_examples=300, deadline=None)
@given(TERMS, LOOKS)
def test_it_never_resolves_before_it_was_within_long_enough(terms, looks):
    last_out = None
    for before, condition, _, taken in walk(terms, looks):
        fresh = before.evaluated_at is None or condition.at > before.evaluated_at
        if fresh and _is_out(terms, condition.finding):
            last_out = condition.at
        if taken.tells == "resolved":
            assert condition.at - last_out >= dt.timedelta(seconds=terms.keep_firing_s)
            assert not _is_out(terms, condition.finding)


@settings(max_examples=300, deadline=None)
@given(TERMS, LOOKS)
def test_each_episode_is_told_once_as_firing_and_at_most_once_as_resolved(terms, looks):
    messages: dict[object, list[str]] = {}
    for _, _, _, taken in walk(terms, looks):
        if taken.tells:
            messages.setdefault(taken.standing.episode, []).append(str(taken.tells))
    assert None not in messages
    for told_of in messages.values():
        assert told_of[0] == "firing"
        assert told_of.count("firing") == 1
        assert "resolved" not in told_of[:-1]
        assert terms.repeat_s or "repeat" not in told_of


@settings(max_examples=300, deadline=None)
@given(TERMS, LOOKS)
def test_to_look_twice_changes_nothing(terms, looks):
    for _, condition, now, taken in walk(terms, looks):
        again = step(terms, taken.standing, condition, now)
        assert again.standing == taken.standing
        assert (again.transition, again.tells) == (None, None)


@settings(max_examples=300, deadline=None)
@given(TERMS, LOOKS)
def test_a_transition_is_a_change_of_state_and_only_along_the_arrows(terms, looks):
    arrows = {
        ("inactive", "pending"),
        ("inactive", "firing"),
        ("pending", "firing"),
        ("pending", "inactive"),
        ("firing", "resolved"),
        ("resolved", "pending"),
        ("resolved", "firing"),
    }
    last_told = None
    for before, _, now, taken in walk(terms, looks):
        assert (taken.transition is None) == (before.state == taken.standing.state)
        if taken.transition:
            assert (taken.transition.was, taken.transition.became) in arrows
            assert taken.transition.was == before.state
        if taken.tells == "repeat":
            assert now - last_told >= dt.timedelta(seconds=terms.repeat_s)
        last_told = now if taken.tells else last_told
        assert (taken.standing.episode is None) == (taken.standing.state == AlertState.INACTIVE)
