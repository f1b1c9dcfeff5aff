"""How often: `600/m` and its like. The counting is django-ratelimit's; only this file knows that package."""

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django_ratelimit import ALL
from django_ratelimit.core import get_usage

from tools.policy.parameters import is_rate

RATE_HELP = "Most calls in a time: 600/m is 600 a minute; also 10/s, 1000/h, 5/10m (5 in ten minutes); 0/m is none."


class RateStoreUnavailableError(Exception):
    """Rates can't be counted now, so nothing may pass that has one."""


@dataclass(frozen=True, slots=True)
class Usage:
    allowed: bool
    count: int
    limit: int
    retry_after_s: int


def rate_problem(text: str) -> str | None:
    """What is wrong with a rate as typed, or None."""
    if not is_rate(text):
        return f"“{text}” is not a rate. {RATE_HELP}"
    return None


def validate_rate(text: str) -> None:
    if problem := rate_problem(text):
        raise ValidationError(problem, code="rate")


def consume(what: str, rate: str) -> Usage:
    """One more of `what` is counted. Atomic over all processes; windows are fixed, each `what` with its own start."""
    return _usage(what, rate, increment=True)


def peek(what: str, rate: str) -> Usage:
    """What `consume` would answer now, with nothing counted."""
    usage = _usage(what, rate, increment=False)
    return Usage(usage.count < usage.limit, usage.count, usage.limit, usage.retry_after_s)


def _usage(what: str, rate: str, *, increment: bool) -> Usage:
    found = _ask(what, rate, increment=increment) or _ask(what, rate, increment=increment)
    if found is None:
        raise RateStoreUnavailableError("no count")
    return Usage(not found["should_limit"], found["count"], found["limit"], max(found["time_left"], 1))


def _ask(what: str, rate: str, *, increment: bool) -> dict[str, int] | None:
    """The package's answer; None where its key ended between two questions, which a second try mends."""
    try:
        found = get_usage(
            None, group="observatory", key=lambda _group, _request: what, rate=rate, method=ALL, increment=increment
        )
    except Exception as error:  # whichever way the store fails, it did not count
        raise RateStoreUnavailableError(type(error).__name__) from error
    if found is None or (found["should_limit"] and found["count"] == 0):
        return None
    answer: dict[str, int] = found
    return answer
