"""All figures of a window at once, by group: one reading of the rollups whatever the number of figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from telemetry.metrics.definitions import OPERATIONS, SNAPSHOT, Metric
from telemetry.metrics.figures import figure_of
from telemetry.metrics.totals import Question, Totals, totals

ALL: tuple[Metric, ...] = (*SNAPSHOT, *OPERATIONS)


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """The figures of one group; None where there is nothing to divide by. `samples`: of how many calls."""

    labels: dict[str, str]
    metrics: dict[str, float | None]
    samples: int


def snapshot(question: Question, metrics: Sequence[Metric] = ALL) -> list[GroupFigures]:
    """The busiest group first; ungrouped always exactly one."""
    found = totals(question)
    if not question.group_by:
        found = found or {(None, ()): Totals()}
    groups = [
        GroupFigures(
            dict(zip(question.group_by, labels, strict=True)),
            {metric.name: figure_of(metric, sums)[0] for metric in metrics},
            int(sums.sum("calls")),
        )
        for (_, labels), sums in found.items()
    ]
    return sorted(groups, key=lambda group: (-group.samples, sorted(group.labels.items())))
