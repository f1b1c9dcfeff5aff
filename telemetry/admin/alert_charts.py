"""Charts of figures and of alerts as SVG, drawn on the server: no script, no style in the page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from telemetry.alerts.messages import amount

WIDTH, HEIGHT = 860, 240
LEFT, RIGHT, TOP, BOTTOM = 76, 10, 12, 26
TICKS = 4
Points = Sequence[tuple[dt.datetime, float | None]]


@dataclass(frozen=True, slots=True)
class Frame:
    """Where times and values stand in the picture."""

    begins: dt.datetime
    ends: dt.datetime
    top: float

    def x(self, at: dt.datetime) -> float:
        whole = (self.ends - self.begins).total_seconds() or 1.0
        share = min(max((at - self.begins).total_seconds() / whole, 0.0), 1.0)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = min(max(value / self.top, 0.0), 1.0)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def chart(
    lines: Sequence[Points],
    bands: Iterable[tuple[dt.datetime, dt.datetime]],
    frame_of: Frame,
    threshold: float,
    unit: str,
) -> SafeString:
    """Figures over time with their bound, and when it fired behind them."""
    frame = frame_of
    return format_html(
        '<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="Figures over time, and when it fires">'
        "{}{}{}{}</svg>",
        WIDTH,
        HEIGHT,
        _bands(frame, bands),
        _grid(frame, unit),
        _bound(frame, threshold),
        format_html_join(
            "",
            '<path class="plot-line plot-line-{}" d="{}"></path>',
            ((n, path(frame, p)) for n, p in enumerate(lines)),
        ),
    )


def frame(lines: Iterable[Points], begins: dt.datetime, ends: dt.datetime, threshold: float) -> Frame:
    """Everything fits, with some room above."""
    values = [value for points in lines for _, value in points if value is not None]
    return Frame(begins, ends, max([threshold, *values, 0.0]) * 1.15 or 1.0)


def path(frame: Frame, points: Points) -> str:
    """An unknown figure is a gap; a figure alone between gaps is a dot."""
    parts, is_open = [], False
    for at, value in points:
        if value is None:
            is_open = False
            continue
        where = f"{frame.x(at)} {frame.y(value)}"
        parts.append(f"L{where}" if is_open else f"M{where}h0.1")
        is_open = True
    return "".join(parts)


def _bands(frame: Frame, bands: Iterable[tuple[dt.datetime, dt.datetime]]) -> SafeString:
    drawn = ((frame.x(a), TOP, max(frame.x(b) - frame.x(a), 2.0), HEIGHT - TOP - BOTTOM) for a, b in bands)
    return format_html_join("", '<rect class="plot-fired" x="{}" y="{}" width="{}" height="{}"></rect>', drawn)


def _grid(frame: Frame, unit: str) -> SafeString:
    values = [frame.top / 1.15 * n / TICKS for n in range(TICKS + 1)]
    rows = format_html_join(
        "",
        '<line class="plot-grid" x1="{}" x2="{}" y1="{}" y2="{}"></line>'
        '<text class="plot-text" x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (LEFT, WIDTH - RIGHT, frame.y(v), frame.y(v), LEFT - 8, frame.y(v) + 4, amount(_round(v), unit))
            for v in values
        ),
    )
    times = format_html_join(
        "",
        '<text class="plot-text" x="{}" y="{}" text-anchor="{}">{}</text>',
        (
            (frame.x(at), HEIGHT - 8, "end" if n == TICKS else "start" if n == 0 else "middle", text)
            for n, (at, text) in enumerate(ticks(frame.begins, frame.ends))
        ),
    )
    return rows + times


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def ticks(begins: dt.datetime, ends: dt.datetime) -> list[tuple[dt.datetime, str]]:
    """Times along the bottom: hours of a day, days of a week."""
    is_long = ends - begins > dt.timedelta(days=2)
    moments = [begins + (ends - begins) * n / TICKS for n in range(TICKS + 1)]
    return [(at, f"{at.astimezone(dt.UTC):{'%m-%d %H:%M' if is_long else '%H:%M'}}") for at in moments]


def _bound(frame: Frame, threshold: float) -> SafeString:
    y = frame.y(threshold)
    return format_html('<line class="plot-bound" x1="{}" x2="{}" y1="{}" y2="{}"></line>', LEFT, WIDTH - RIGHT, y, y)


def bar(
    begins: dt.datetime, ends: dt.datetime, spans: Iterable[tuple[str, dt.datetime, dt.datetime]], label: str
) -> SafeString:
    """States of one alert over time. `spans`: (state, from, to)."""
    whole = (ends - begins).total_seconds() or 1.0

    def x(at: dt.datetime) -> float:
        return round(min(max((at - begins).total_seconds() / whole, 0.0), 1.0) * 1000, 1)

    drawn = (
        (state, x(a), max(x(b) - x(a), 3.0), state, f"{a:%Y-%m-%d %H:%M}", f"{b:%Y-%m-%d %H:%M}")
        for state, a, b in spans
    )
    rects = format_html_join(
        "",
        '<rect class="bar-{}" x="{}" y="2" width="{}" height="16"><title>{} {} to {}</title></rect>',
        drawn,
    )
    return format_html(
        '<svg class="bar" viewBox="0 0 1000 20" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        label,
        rects,
    )
