"""Records that are found by what names them exactly."""

import uuid
from typing import Any

from django.db.models import Q, QuerySet


def by_id_or_trace(rows: QuerySet[Any], typed: str, *id_fields: str) -> QuerySet[Any]:
    """All rows for no term; else those whose id (with its dashes) or trace (without) it is, or none."""
    term = typed.strip().lower()
    if not term:
        return rows
    try:
        wanted = uuid.UUID(term)
    except ValueError:
        return rows.none()
    if "-" not in term:
        return rows.filter(trace_id=term)
    named = Q()
    for field in id_fields:
        named |= Q(**{field: wanted})
    return rows.filter(named)
