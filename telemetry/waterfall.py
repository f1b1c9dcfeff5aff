"""Spans of one trace as a tree along its time. Pure: rows in, lines of a picture out.

What reporters say of parents may be wrong: a parent that is not there makes a span a root, and spans that are each
other's parents hang below the first of them. No span is left out, none stands twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from telemetry.models import Span

# The picture's own units across; an instant is still seen.
WIDTH = 1_000
LEAST = 3
# Deeper ones are drawn at this depth.
DEEPEST = 12


@dataclass(frozen=True, slots=True)
class Segment:
    """A stage of a call: where on the line, and which of its stages."""

    name: str
    microseconds: int
    x: float
    width: float
    position: int


@dataclass(frozen=True, slots=True)
class Line:
    """One span on its line. `orphan`: its parent is not among the spans that are shown."""

    span: Span
    depth: int
    orphan: bool
    x: float
    width: float
    segments: tuple[Segment, ...]


def lines(spans: Sequence[Span]) -> list[Line]:
    """Parents above their children, siblings by time."""
    if not spans:
        return []
    begins = min(span.start_time for span in spans)
    total = max((max(span.end_time for span in spans) - begins).total_seconds(), 1e-6)
    return [
        _line(span, depth, orphan, (span.start_time - begins).total_seconds(), total)
        for span, depth, orphan in _tree(spans)
    ]


def _tree(spans: Sequence[Span]) -> Iterator[tuple[Span, int, bool]]:
    """(span, depth, orphan), depth first and without recursion: a hostile trace may be one long chain."""
    in_time = sorted(spans, key=lambda span: (span.start_time, str(span.pk)))
    known = {span.span_id for span in in_time}
    below: dict[str, list[Span]] = {}
    roots = []
    for span in in_time:
        if span.parent_span_id in known and span.parent_span_id != span.span_id:
            below.setdefault(span.parent_span_id, []).append(span)
        else:
            roots.append(span)
    left = {span.pk for span in in_time}
    # What no root leads to goes round in a circle, and begins with its first.
    for start in [*roots, *in_time]:
        waiting = [(start, 0)]
        while waiting:
            span, depth = waiting.pop()
            if span.pk not in left:
                continue
            left.remove(span.pk)
            yield span, depth, depth == 0 and bool(span.parent_span_id)
            waiting.extend((child, depth + 1) for child in reversed(below.pop(span.span_id, [])))


def _line(span: Span, depth: int, orphan: bool, after_s: float, total_s: float) -> Line:
    took_s = (span.end_time - span.start_time).total_seconds()
    width = max(WIDTH * took_s / total_s, LEAST)
    x = min(WIDTH * after_s / total_s, WIDTH - width)
    return Line(
        span, min(depth, DEEPEST), orphan, round(x, 2), round(width, 2), tuple(_segments(span, x, width, took_s))
    )


def _segments(span: Span, x: float, width: float, took_s: float) -> Iterator[Segment]:
    """Stages one after another, as far as they fit into what the whole call took."""
    stages = span.stages_us if isinstance(span.stages_us, dict) else {}
    at, end = x, x + width
    for position, (name, microseconds) in enumerate(stages.items()):
        if not isinstance(microseconds, int) or microseconds < 0 or not took_s:
            continue
        wide = min(width * microseconds / (took_s * 1_000_000), end - at)
        yield Segment(str(name), microseconds, round(at, 2), round(wide, 2), position % 6)
        at += wide
