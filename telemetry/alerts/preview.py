"""What a rule would have done over the stored past: the same step() over a series of figures. Nothing is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from telemetry.alerts.evaluation import judged, metric_of
from telemetry.alerts.moves import terms_of
from telemetry.alerts.step import Condition, Finding, Standing, step
from telemetry.metrics.definitions import Metric, Source
from telemetry.metrics.figures import Point, figures, series
from telemetry.models import AlertRule, AlertState

MOST_LINES = 6
DAY, WEEK = dt.timedelta(days=1), dt.timedelta(days=7)


@dataclass(slots=True)
class Episode:
    """One time that it would have fired; without an end it still would."""

    labels: dict[str, str]
    started_at: dt.datetime
    fired_at: dt.datetime
    value: float | None
    worst: float | None
    ended_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One set of labels over time. `points`: the end of a window and its figure."""

    labels: dict[str, str]
    points: list[tuple[dt.datetime, float | None]]
    episodes: list[Episode]


@dataclass(frozen=True, slots=True)
class Preview:
    metric: Metric
    begins: dt.datetime
    ends: dt.datetime
    step_s: int
    window_s: int
    lines: list[Line] = field(default_factory=list)

    @property
    def episodes(self) -> list[Episode]:
        return sorted((one for line in self.lines for one in line.episodes), key=lambda one: one.fired_at, reverse=True)

    @property
    def drawn(self) -> list[Line]:
        """Those that fired first, then the ones that came nearest."""
        return self.lines[:MOST_LINES]


def preview(rule: AlertRule, ends: dt.datetime, length: dt.timedelta) -> Preview:
    """The past up to `ends`. Raises CannotBeAsked. A gauge has no past: then there is one point, of now."""
    metric = metric_of(rule)
    if metric.source is Source.GAUGE:
        return _gauge(rule, metric, ends)
    step_s, window_s = widths(rule.window_s, length)
    begins = ends - length
    drawn = series(
        metric,
        begins=begins,
        ends=ends,
        step_s=step_s,
        filters=rule.filters,
        group_by=rule.group_by,
        window_s=window_s,
    )
    lines = [_line(rule, metric, labels, points, step_s) for labels, points in drawn]
    lines.sort(key=lambda line: (-len(line.episodes), _worst_of(rule, line)))
    return Preview(metric, begins, ends, step_s, window_s, lines)


def widths(window_s: int, length: dt.timedelta) -> tuple[int, int]:
    """How often it is looked, and over how long a window: about as many points as a chart can show."""
    of_a_day = 60 if window_s < 300 else 300
    step_s = of_a_day if length <= DAY else 600
    return step_s, max(window_s, step_s)


def _line(rule: AlertRule, metric: Metric, labels: dict[str, str], points: Sequence[Point], step_s: int) -> Line:
    wide = dt.timedelta(seconds=step_s)
    terms = replace(terms_of(rule), repeat_s=0)
    standing, episodes, drawn = Standing("preview"), list[Episode](), list[tuple[dt.datetime, float | None]]()
    for point in points:
        at = point.at + wide
        drawn.append((at, point.value))
        condition = judged(rule, metric, at, point.value, point.samples)
        if rule.group_by and not point.samples:
            condition = Condition(Finding.GONE, at)
        taken = step(terms, standing, condition, at)
        standing = taken.standing
        _note(rule, episodes, labels, taken.transition is not None, standing)
    return Line(labels, drawn, episodes)


def _note(rule: AlertRule, episodes: list[Episode], labels: dict[str, str], moved: bool, standing: Standing) -> None:
    """The episodes so far, with what this step made of them."""
    value = standing.value
    if moved and standing.state == AlertState.FIRING:
        assert standing.started_at is not None
        assert standing.since is not None
        episodes.append(Episode(labels, standing.started_at, standing.since, value, value))
    elif moved and standing.state == AlertState.RESOLVED:
        episodes[-1].ended_at = standing.since
    elif standing.state == AlertState.FIRING and value is not None:
        pick = max if rule.comparison == AlertRule.Comparison.ABOVE else min
        worst = episodes[-1].worst
        episodes[-1].worst = value if worst is None else pick(worst, value)


def _worst_of(rule: AlertRule, line: Line) -> float:
    values = [value for _, value in line.points if value is not None] or [0.0]
    return -max(values) if rule.comparison == AlertRule.Comparison.ABOVE else min(values)


def _gauge(rule: AlertRule, metric: Metric, now: dt.datetime) -> Preview:
    found = figures(metric, begins=now, ends=now, filters=rule.filters, group_by=rule.group_by)
    lines = []
    for one in found:
        is_out = judged(rule, metric, now, one.value, one.samples).finding is Finding.OUT
        episodes = [Episode(one.labels, now, now, one.value, one.value)] if is_out else []
        lines.append(Line(one.labels, [(now, one.value)], episodes))
    return Preview(metric, now, now, 0, 0, lines)
