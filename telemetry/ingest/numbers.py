"""Numbers of spans, each within its bounds."""

import math
import re
from decimal import Decimal
from typing import Any

from telemetry.ingest.bounds import MOST_COST_USD
from telemetry.ingest.faults import SpanFault

_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,20})?")
_AMOUNT = "a number, or a text such as 0.00125"
_PRECISION = Decimal("0.00000001")


def count(value: Any, field: str, most: int) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise SpanFault("wrong_type", field, "a whole number")
    if not 0 <= value <= most:
        raise SpanFault("out_of_range", field, f"0 to {most}")
    return value


def share(value: Any, field: str) -> float:
    """A number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpanFault("wrong_type", field, "a number")
    if not 0 <= value <= 1:
        raise SpanFault("out_of_range", field, "0 to 1")
    return float(value)


def dollars(value: Any, field: str) -> Decimal:
    """A decimal as text, or a number; kept to eight places."""
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            raise SpanFault("wrong_type", field, _AMOUNT)
        amount = Decimal(value)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise SpanFault("wrong_type", field, _AMOUNT)
    elif not math.isfinite(value) or abs(value) > MOST_COST_USD:
        raise SpanFault("out_of_range", field, f"0 to {MOST_COST_USD}")
    else:
        amount = Decimal(repr(value))
    if not 0 <= amount <= MOST_COST_USD:
        raise SpanFault("out_of_range", field, f"0 to {MOST_COST_USD}")
    return amount.quantize(_PRECISION)


def yes_or_no(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise SpanFault("wrong_type", field, "true or false")
    return value
