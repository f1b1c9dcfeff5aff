"""How things stand now, for alerts and Prometheus: each app says what it can count; telemetry need not know it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from telemetry.metrics.definitions import METRICS, Metric, Source, Unit


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a gauge, under labels of the names that alert rules group by (service, model, tool_name, agent)."""

    value: float
    labels: Mapping[str, str]


_readers: dict[str, Callable[[], Iterable[Reading]]] = {}


def register_gauge(name: str, title: str, read: Callable[[], Iterable[Reading]], unit: Unit = Unit.NUMBER) -> None:
    """The gauge is a metric from now on: rules can watch it. `read` asks the database, and is called by workers."""
    METRICS[name] = Metric(name, title, unit, Source.GAUGE, of=name, over=name)
    _readers[name] = read


def read_gauge(name: str) -> list[Reading]:
    """How the gauge stands now. Raises KeyError for one that nobody registered."""
    return list(_readers[name]())
