"""“What happened”: calls, denials, failures, durations, cost and tokens over a window of time, by tool and by agent.

Everything is read from rollups. The page is whole without JavaScript: the charts repeat what its table says.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from telemetry.metrics.definitions import METRICS
from telemetry.metrics.figures import figure_of
from telemetry.metrics.late_spans import whole_minute
from telemetry.metrics.rollups import HOUR, MINUTE, watermark, whole_hour
from telemetry.metrics.totals import Question, Totals, totals
from telemetry.wording import seen

TOP = 10
FILTERS = {"service": "service", "tool": "tool_name", "agent": "agent"}


@dataclass(frozen=True, slots=True)
class Window:
    """A choice of the page, and the step of its charts. Whole hours are read from sums by the hour."""

    word: str
    title: str
    length: dt.timedelta
    step: dt.timedelta


WINDOWS = (
    Window("1h", "1 hour", HOUR, MINUTE),
    Window("24h", "24 hours", 24 * HOUR, HOUR),
    Window("7d", "7 days", 7 * 24 * HOUR, 3 * HOUR),
    Window("30d", "30 days", 30 * 24 * HOUR, 12 * HOUR),
)
# (the word in the page's data, how a person reads it, the metric)
LINES = (
    ("calls", "Calls", "total_calls"),
    ("denied", "Denied", "denied_calls"),
    ("errors", "Failed", "error_calls"),
    ("p50", "Median, ms", "duration_p50"),
    ("p95", "95th percentile, ms", "duration_p95"),
    ("cost", "Cost, USD", "cost_usd"),
    ("tokens_in", "Tokens in", "prompt_tokens"),
    ("tokens_out", "Tokens out", "completion_tokens"),
)
# (title, its lines)
CHARTS = (
    ("Calls", ("calls", "denied", "errors")),
    ("How long they took", ("p50", "p95")),
    ("Cost", ("cost",)),
    ("Tokens", ("tokens_in", "tokens_out")),
)


@require_safe
def charts(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """?window=1h, 24h, 7d or 30d; ?service=, ?tool=, ?agent= keep one value each."""
    if not request.user.has_perm("telemetry.view_span"):
        raise PermissionDenied
    window = next((one for one in WINDOWS if one.word == request.GET.get("window")), WINDOWS[0])
    chosen = {name: request.GET.get(name, "").replace("\x00", "").strip()[:120] for name in FILTERS}
    mark = watermark()
    question = _question(window, mark or whole_minute(timezone.now()), chosen)
    steps = _steps(question, window.step)
    by_name = totals(replace(question, group_by=list(FILTERS.values())), durations=False, sums=("calls", "cost_usd"))
    context = site.each_context(request) | {
        "title": "What happened",
        "windows": [(one, _address(chosen | {"window": one.word})) for one in WINDOWS],
        "window": window,
        "chosen": chosen,
        "is_filtered": any(chosen.values()),
        "clear": _address({"window": window.word}),
        "names": {name: sorted({key[position] for _, key in by_name} - {""}) for position, name in enumerate(FILTERS)},
        "mark": mark,
        "figures": _figures(_whole(part for _, part in steps), _span_list(question, chosen)),
        "charts": [(title, lines, [title for word, title, _ in LINES if word in lines]) for title, lines in CHARTS],
        "data": _drawn(steps),
        "heads": [title for _, title, _ in LINES],
        "rows": [(at, [_said(word, value) for word, value in _values(part)]) for at, part in reversed(steps)],
        "tops": [
            ("By tool", "Tool", _top(by_name, 1, "tool", question, chosen)),
            ("By agent", "Agent", _top(by_name, 2, "agent", question, chosen)),
        ],
    }
    return TemplateResponse(request, "telemetry/charts.html", context)


def _question(window: Window, ends: dt.datetime, chosen: Mapping[str, str]) -> Question:
    """Steps of hours begin at whole hours: the last of them is not over yet."""
    closes = ends if window.step < HOUR else whole_hour(ends) + (HOUR if ends > whole_hour(ends) else 0 * HOUR)
    return Question(closes - window.length, ends, {FILTERS[name]: value for name, value in chosen.items() if value})


def _steps(question: Question, step: dt.timedelta) -> list[tuple[dt.datetime, Totals]]:
    """Each step of the window, also where nothing was."""
    found = totals(question, step=step, sums=("calls", "cost_usd", "prompt_tokens", "completion_tokens"))
    moments = [question.begins + n * step for n in range(-(-(question.ends - question.begins) // step))]
    return [(at, found.get((at, ()), Totals())) for at in moments]


def _whole(parts: Any) -> Totals:
    whole = Totals()
    for part in parts:
        whole.add(part)
    return whole


def _values(part: Totals) -> list[tuple[str, float | None]]:
    """What each line says of one step; durations in milliseconds."""
    values = [(word, figure_of(METRICS[name], part)[0]) for word, _, name in LINES]
    return [(word, value * 1000 if word in ("p50", "p95") and value is not None else value) for word, value in values]


def _drawn(steps: Sequence[tuple[dt.datetime, Totals]]) -> dict[str, list[float | None]]:
    columns: dict[str, list[float | None]] = {"at": [at.timestamp() for at, _ in steps]}
    for _, part in steps:
        for word, value in _values(part):
            columns.setdefault(word, []).append(value)
    return columns


def _said(word: str, value: float | None) -> str:
    """A figure as a person reads it; a dash where there is none."""
    if value is None:
        return "–"
    if word == "cost":
        return f"{value:,.4f}"
    return f"{value:,.1f}" if word in ("p50", "p95") else f"{value:,.0f}"


def _figures(whole: Totals, listed: str) -> list[dict[str, Any]]:
    """The window in numbers, each with the spans behind it where the list can show them."""
    links = {"calls": listed, "denied": f"{listed}&decision=denied", "errors": f"{listed}&decision=error"}
    titles = {word: title[:1].lower() + title[1:] for word, title, _ in LINES}
    return [
        {
            "text": _said(word, value),
            "title": titles[word],
            "link": links.get(word),
            "danger": word in ("denied", "errors") and value,
        }
        for word, value in _values(whole)
    ]


def _top(
    by_name: Mapping[Any, Totals], position: int, name: str, question: Question, chosen: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The busiest, each with its page here and its spans; what has no such name is left out."""
    found: dict[str, Totals] = {}
    for (_, key), part in by_name.items():
        if key[position]:
            found.setdefault(key[position], Totals()).add(part)
    busiest = sorted(found.items(), key=lambda item: (-item[1].sum("calls"), item[0]))[:TOP]
    most = max((int(part.sum("calls")) for _, part in busiest), default=0)
    return [
        {
            "name": seen(value, 60),
            "calls": int(part.sum("calls")),
            "denied": int(part.sum("calls", ("denied",))),
            "errors": int(part.sum("calls", ("error",))),
            "cost": part.sum("cost_usd"),
            "share": round(100 * int(part.sum("calls")) / most),
            "spans": _span_list(question, {**chosen, name: value}),
        }
        for value, part in busiest
    ]


def _address(words: Mapping[str, str]) -> str:
    return f"?{urlencode({name: value for name, value in words.items() if value})}"


def _span_list(question: Question, chosen: Mapping[str, str]) -> str:
    """The spans of the window and of what is chosen, in the list."""
    begins = question.begins.astimezone(dt.UTC)
    words = {"start_time_from_0": f"{begins:%Y-%m-%d}", "start_time_from_1": f"{begins:%H:%M:%S}"}
    return reverse("admin:telemetry_span_changelist") + _address({**words, **chosen})
