"""What a model call costs: as its reporter says, else as an operator says, else as published; else nobody knows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from telemetry import published_prices
from telemetry.models import PriceOverride

# A cost has six digits before the point; more than this is a slip of somebody's pen, and no figure to add up.
_MOST = Decimal(999_999)
_PRECISION = Decimal("0.00000001")
_MILLION = Decimal(1_000_000)

Overrides = dict[tuple[str, str], tuple[Decimal, Decimal]]


def cost_of(
    provider: str,
    model: str,
    prompt_tokens: int | None,
    completion_tokens: int | None,
    at: dt.datetime,
    overrides: Overrides | None = None,
) -> tuple[Decimal | None, str]:
    """The cost in USD and where it is from: "override", "table", or None and "". Reads the overrides unless given."""
    if not provider or not model or (prompt_tokens is None and completion_tokens is None):
        return None, ""
    found = (all_overrides() if overrides is None else overrides).get((provider.lower(), model))
    if found is not None:
        cost: Decimal | None = (found[0] * (prompt_tokens or 0) + found[1] * (completion_tokens or 0)) / _MILLION
        source = "override"
    else:
        cost = published_prices.cost_of(provider, model, prompt_tokens, completion_tokens, at)
        source = "table"
    if cost is None or cost > _MOST:
        return None, ""
    return cost.quantize(_PRECISION), source


def add_costs(rows: Iterable[dict[str, Any]]) -> None:
    """Each row of columns that has tokens, a provider and a model but no cost gets one, where there is a price.

    At most one query, and none where no row needs a price.
    """
    unpriced = [
        row for row in rows if row["cost_usd"] is None and row["provider"] and row["model"] and row["token_source"]
    ]
    overrides = all_overrides() if unpriced else {}
    for row in unpriced:
        row["cost_usd"], row["cost_source"] = cost_of(
            row["provider"],
            row["model"],
            row["prompt_tokens"],
            row["completion_tokens"],
            row["start_time"],
            overrides,
        )


def all_overrides() -> Overrides:
    """What operators set, by provider and model. A table of tens of rows."""
    rows = PriceOverride.objects.order_by().values_list("provider", "model", "input_usd", "output_usd")
    return {(provider, model): (input_usd, output_usd) for provider, model, input_usd, output_usd in rows}
