"""Which sessions a report is about, and the order in which it tells them: the oldest first, each with its steps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from django.db import connection, transaction
from django.utils.dateparse import parse_datetime

from telemetry.models import Session, Step

FILTERS = ("session", "agent", "from", "to")
LONGEST = 150
_SESSIONS_A_PAGE = 100
_STEPS_A_PAGE = 500
# What a report does not tell.
_NOT_TOLD = ("tools_discovered",)


class BadFilter(ValueError):
    """A filter that can't be read; the sentence says which and why."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Empty means any. A session began at `begins` or later, and before `ends`. Both know their offset."""

    session: str = ""
    agent: str = ""
    begins: dt.datetime | None = None
    ends: dt.datetime | None = None

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Filters:
        """From names and texts, as at a door; empty ones are left out. Raises BadFilter."""
        if unknown := sorted(set(given) - set(FILTERS)):
            raise BadFilter(f"Unknown filter: {', '.join(unknown)[:100]}.")
        session, agent = (_text(given, name) for name in ("session", "agent"))
        begins, ends = (_moment(name, _text(given, name)) for name in ("from", "to"))
        if begins is not None and ends is not None and begins >= ends:
            raise BadFilter("from is before to.")
        return cls(session, agent, begins, ends)

    def as_json(self) -> dict[str, str]:
        """Those that were given, by the names that doors know."""
        moments = {"from": self.begins, "to": self.ends}
        given = {"session": self.session, "agent": self.agent} | {
            name: moment.isoformat().replace("+00:00", "Z") for name, moment in moments.items() if moment
        }
        return {name: value for name, value in given.items() if value}


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name) or ""
    if not isinstance(value, str) or len(value) > LONGEST or "\x00" in value:
        raise BadFilter(f"{name} is text of at most {LONGEST} characters.")
    return value


def _moment(name: str, value: str) -> dt.datetime | None:
    if not value:
        return None
    try:
        moment = parse_datetime(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadFilter(f"{name} is a time with its offset, such as 2026-11-21T14:00:00Z.")
    try:
        # In UTC: PostgreSQL knows fewer offsets than Python.
        return moment.astimezone(dt.UTC)
    except OverflowError:
        raise BadFilter(f"{name} is out of range.") from None


@dataclass(frozen=True, slots=True)
class Selection:
    """The sessions that fit the filters; with `agent_id` only that agent's own, whatever the filters say."""

    filters: Filters = Filters()
    agent_id: int | None = None

    def sessions(self) -> Any:
        found = Session.objects.defer(*_NOT_TOLD).order_by("created_at", "id")
        filters = self.filters
        if self.agent_id is not None:
            found = found.of_agent(self.agent_id)
        if filters.session:
            found = found.filter(session_id=filters.session)
        if filters.agent:
            found = found.filter(agent=filters.agent)
        if filters.begins:
            found = found.filter(created_at__gte=filters.begins)
        return found.filter(created_at__lt=filters.ends) if filters.ends else found

    def steps(self) -> Any:
        """The steps of these sessions, in no order."""
        return Step.objects.filter(session__in=self.sessions().order_by().values("pk")).order_by()

    def told(self) -> Iterator[tuple[Session, Iterator[Step]]]:
        """Each session with its steps by number, read by pages: take a session's steps before the next session."""
        found = self.sessions().iterator(chunk_size=_SESSIONS_A_PAGE)
        while page := list(islice(found, _SESSIONS_A_PAGE)):
            yield from _with_steps(page)


def _with_steps(page: list[Session]) -> Iterator[tuple[Session, Iterator[Step]]]:
    steps = (
        Step.objects.filter(session__in=[session.pk for session in page])
        .order_by("session__created_at", "session_id", "number")
        .iterator(chunk_size=_STEPS_A_PAGE)
    )
    runs = groupby(steps, key=lambda step: step.session_id)
    ahead = next(runs, None)
    for session in page:
        if ahead is not None and ahead[0] == session.pk:
            yield session, ahead[1]
            ahead = next(runs, None)
        else:
            yield session, iter(())


@contextmanager
def one_moment() -> Iterator[None]:
    """Everything that is read within is of one moment, so that sums and rows agree. Nothing can be written within.

    Within a transaction that has begun already, what is read is what that transaction reads.
    """
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
