"""Values in the words of operators' pages: lengths of time, and one line of a text that may be hostile."""

import datetime as dt

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from telemetry.visible import visible


def seen(text: str, limit: int = 80) -> str:
    """One line for a list: hidden characters to be seen, and cut; the record's own page has it whole."""
    line = visible(text)
    return line if len(line) <= limit else f"{line[:limit]}…"


def span_words(span: dt.timedelta) -> str:
    """A length of time as people say it: 40 s, 12 min, 3 h, 5 days."""
    seconds = max(int(span.total_seconds()), 0)
    for unit, size, below in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 172_800)):
        if seconds < below:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400} days"


def ago(moment: dt.datetime | None) -> str:
    return f"{span_words(timezone.now() - moment)} ago" if moment else "never"


def left(moment: dt.datetime) -> str:
    remaining = moment - timezone.now()
    return f"{span_words(remaining)} left" if remaining > dt.timedelta(0) else "time is over"


def moment(when: dt.datetime) -> SafeString:
    """A time on one line, to the second, in UTC as everything here."""
    return format_html('<span class="moment">{}</span>', when.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S"))
