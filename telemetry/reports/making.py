from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from telemetry.reports.masking import masked
from telemetry.reports.selection import Selection


@dataclass(frozen=True, slots=True)
class Making:
    """Which sessions a report tells of, who asked for it, and when it is made."""

    selection: Selection
    made_by: str
    made_at: dt.datetime

    @property
    def filters(self) -> dict[str, Any]:
        """As they were given, masked as everything else."""
        found: dict[str, Any] = masked(self.selection.filters.as_json())
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "made_at": self.made_at.isoformat(),
            "made_by": masked(self.made_by),
            "filters": self.filters,
            "own_agent_only": self.selection.agent_id is not None,
        }
