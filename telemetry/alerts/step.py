"""The state machine of one alert, pure: where it stood, what was found, where it stands now and what is to be told.

    inactive -> pending -> firing -> resolved -> pending -> ...
                pending -> inactive, where it did not last

The end of the window that was looked at moves states; the clock only tells again while an alert fires.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, replace
from enum import StrEnum

from telemetry.models import AlertNotification, AlertRule, AlertState

Kind = AlertNotification.Kind
NoData = AlertRule.NoData
_EPISODES = uuid.UUID("5b0c3f6e-6b0e-4f3a-9a43-6d1f5f6a2c11")


class Finding(StrEnum):
    """What a figure says of a rule's bound."""

    OUT = "out"
    WITHIN = "within"
    UNKNOWN = "unknown"  # too few samples, or nothing to divide by
    GONE = "gone"  # a label set that has no sample at all any more


@dataclass(frozen=True, slots=True)
class Terms:
    """What of a rule decides about time."""

    for_s: int
    keep_firing_s: int
    repeat_s: int
    no_data: str


@dataclass(frozen=True, slots=True)
class Condition:
    """What was found for the window that ends at `at`."""

    finding: Finding
    at: dt.datetime
    value: float | None = None
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an alert stands. `told_at` is by the clock, the other times are ends of windows."""

    key: str
    state: AlertState = AlertState.INACTIVE
    since: dt.datetime | None = None
    episode: uuid.UUID | None = None
    started_at: dt.datetime | None = None
    last_true_at: dt.datetime | None = None
    told_at: dt.datetime | None = None
    value: float | None = None
    samples: int = 0
    evaluated_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    was: AlertState
    became: AlertState
    at: dt.datetime
    episode: uuid.UUID | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    standing: Standing
    transition: Transition | None = None
    tells: Kind | None = None


def step(terms: Terms, standing: Standing, condition: Condition, now: dt.datetime) -> Step:
    """What follows from a condition. One that is not newer than the last changes no state, whoever asks how often."""
    if standing.evaluated_at is not None and condition.at <= standing.evaluated_at:
        return _told_again(terms, standing, now)
    found = replace(standing, value=condition.value, samples=condition.samples, evaluated_at=condition.at)
    is_out = _is_out(condition.finding, terms.no_data)
    if is_out is None:
        return _told_again(terms, found, now)
    return _out(terms, found, condition.at, now) if is_out else _within(terms, found, condition.at, now)


def end(standing: Standing, now: dt.datetime, why: str) -> Step:
    """It is over for a reason outside of the figures: the rule was changed, or is off."""
    if standing.state == AlertState.FIRING:
        return _moved(standing, AlertState.RESOLVED, now, Kind.RESOLVED, why)
    if standing.state == AlertState.PENDING:
        return _moved(standing, AlertState.INACTIVE, now, None, why)
    return Step(standing)


def _is_out(finding: Finding, no_data: str) -> bool | None:
    """None: nobody can say, and the alert stays as it is."""
    if finding == Finding.OUT:
        return True
    if finding == Finding.WITHIN:
        return False
    if no_data == NoData.FIRE:
        return True
    # What is gone does not come back by waiting; what has few samples may.
    return None if finding == Finding.UNKNOWN and no_data == NoData.KEEP else False


def _out(terms: Terms, standing: Standing, at: dt.datetime, now: dt.datetime) -> Step:
    standing = replace(standing, last_true_at=at)
    if standing.state == AlertState.FIRING:
        return _told_again(terms, standing, now)
    if standing.state != AlertState.PENDING or standing.started_at is None:
        episode = uuid.uuid5(_EPISODES, f"{standing.key} {at.isoformat()}")
        standing = replace(standing, episode=episode, started_at=at, told_at=None)
    assert standing.started_at is not None
    if at - standing.started_at >= dt.timedelta(seconds=terms.for_s):
        return _moved(replace(standing, told_at=now), AlertState.FIRING, at, Kind.FIRING)
    return Step(standing) if standing.state == AlertState.PENDING else _moved(standing, AlertState.PENDING, at, None)


def _within(terms: Terms, standing: Standing, at: dt.datetime, now: dt.datetime) -> Step:
    if standing.state == AlertState.PENDING:
        return _moved(standing, AlertState.INACTIVE, at, None)
    if standing.state != AlertState.FIRING:
        return Step(standing)
    last = standing.last_true_at or standing.since or at
    if at - last >= dt.timedelta(seconds=terms.keep_firing_s):
        return _moved(standing, AlertState.RESOLVED, at, Kind.RESOLVED)
    return _told_again(terms, standing, now)


def _told_again(terms: Terms, standing: Standing, now: dt.datetime) -> Step:
    """While it fires people are told again, also without newer figures: the message says how old they are."""
    if standing.state != AlertState.FIRING or not terms.repeat_s or standing.told_at is None:
        return Step(standing)
    if now - standing.told_at < dt.timedelta(seconds=terms.repeat_s):
        return Step(standing)
    return Step(replace(standing, told_at=now), None, Kind.REPEAT)


def _moved(standing: Standing, became: AlertState, at: dt.datetime, tells: Kind | None, why: str = "") -> Step:
    transition = Transition(AlertState(standing.state), became, at, standing.episode, why)
    is_over = became == AlertState.INACTIVE
    moved = replace(standing, state=became, since=at, episode=None if is_over else standing.episode)
    return Step(moved, transition, tells)
