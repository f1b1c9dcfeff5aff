from dataclasses import dataclass
from typing import Any

from django.urls import reverse


@dataclass(frozen=True)
class Line:
    """One row of a block."""

    text: str
    note: str = ""
    detail: str = ""
    urgent: bool = False
    of: Any = None

    @property
    def page(self) -> str:
        """The page of what it is about, where `of` is (app_model, key)."""
        return reverse(f"admin:{self.of[0]}_change", args=[self.of[1]]) if isinstance(self.of, tuple) else ""
