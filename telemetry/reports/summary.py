"""What a selection adds up to: by tool, by decision, in all. One query over its steps, one over its sessions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, F, Sum, Value, When

from telemetry.reports.masking import masked_text
from telemetry.reports.selection import Selection

# Of a step that asked for a tool that there is not: whatever name it gave.
UNKNOWN_TOOL = "unknown_tool"


@dataclass(slots=True)
class Tally:
    """What some steps add up to."""

    steps: int = 0
    latency_us: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_est: Decimal = Decimal(0)
    violations: int = 0
    decisions: Counter[str] = field(default_factory=Counter)

    def add(self, row: dict[str, Any]) -> None:
        self.steps += row["steps"]
        self.latency_us += row["latency"] or 0
        self.tokens_in += row["into"] or 0
        self.tokens_out += row["out"] or 0
        self.cost_est += row["cost"] or 0
        self.violations += row["violated"] or 0
        if row["decision"]:
            self.decisions[row["decision"]] += row["steps"]

    @property
    def unfinished(self) -> int:
        return self.steps - self.decisions.total()


@dataclass(slots=True)
class Summary:
    """`tools` by masked name, without names that no tool has."""

    sessions: int = 0
    total: Tally = field(default_factory=Tally)
    tools: dict[str, Tally] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "total_sessions": self.sessions,
            "total_steps": self.total.steps,
            "unfinished_steps": self.total.unfinished,
            "tools_used": sorted(self.tools),
            "decisions": dict(sorted(self.total.decisions.items())),
        }


def summary_of(selection: Selection) -> Summary:
    found = Summary(selection.sessions().count())
    # An agent can ask for as many names as it has steps: those that are no tool's are one group.
    name = Case(When(reason=UNKNOWN_TOOL, then=Value("")), default=F("selected_tool"))
    rows = (
        selection.steps()
        .annotate(tool=name)
        .values("tool", "decision")
        .annotate(
            steps=Count("pk"),
            latency=Sum("latency_us"),
            into=Sum("tokens_in"),
            out=Sum("tokens_out"),
            cost=Sum("cost_est"),
            violated=Sum("violations"),
        )
    )
    for row in rows.iterator():
        found.total.add(row)
        if row["tool"]:
            found.tools.setdefault(masked_text(row["tool"]), Tally()).add(row)
    return found
